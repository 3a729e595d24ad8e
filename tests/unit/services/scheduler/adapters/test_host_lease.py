from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.scheduler.adapters import host_lease
from services.scheduler.adapters.host_lease import HostLeaseKeeper
from shared import tenure
from shared.config import Settings
from shared.contracts.scheduler import HOST_LEASES, HostLease
from shared.errors import Unavailable
from shared.state import MemoryState
from shared.tenure import Desk, Tenure
from tests.support.waiting import until


class Place:
    """A host's keeper at hubs that may be away."""

    def __init__(self, directory: Path) -> None:
        self.state, self.desk = MemoryState(), Desk(Settings(run_dir=str(directory)))
        self.settled = 0
        self.refuse = False
        self.keeper = HostLeaseKeeper(self.state, "n1", self.desk, self.settle)

    async def settle(self) -> None:
        self.settled += 1
        if self.refuse:
            self.refuse = False
            raise Unavailable("not now")

    async def lease(self) -> Any:
        return await self.state.get(HOST_LEASES, "n1")

    def held(self) -> int:
        return self.desk.held(tenure.now())


@pytest.fixture
async def place(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    for name in ("RENEW", "PAUSE", "SETTLE_PAUSE"):
        monkeypatch.setattr(host_lease, name, 0.001)
    made = Place(directory)
    yield made
    await made.keeper.close()


async def renewed(place: Place) -> None:
    """Returns after another renewal."""
    before = (await place.lease()).revision
    while (await place.lease()).revision <= before:  # noqa: ASYNC110  # the keeper tells nobody
        await asyncio.sleep(0)


async def test_a_lease_is_renewed_and_stays_one_tenure(place: Place) -> None:
    place.refuse = True
    place.keeper.open()
    await until(lambda: place.held() > 0, 60)
    number = place.held()
    await renewed(place)
    assert place.held() == number
    await until(lambda: place.settled >= 3, 60)  # at the start, when the tenure began, and again after a refusal


async def test_the_next_scheduler_goes_on_with_it(place: Place) -> None:
    place.keeper.open()
    await until(lambda: place.held() > 0, 60)
    number = place.held()
    await place.keeper.close()
    place.keeper = HostLeaseKeeper(place.state, "n1", place.desk, place.settle)
    place.keeper.open()
    await renewed(place)
    assert place.held() == number


async def test_who_was_found_silent_begins_a_new_tenure(place: Place) -> None:
    place.keeper.open()
    await until(lambda: place.held() > 0, 60)
    number = place.held()
    await place.keeper.close()
    entry = await place.lease()
    await place.state.update(HOST_LEASES, "n1", value=HostLease(node="n1", lost_by="n2"), revision=entry.revision)
    place.keeper = HostLeaseKeeper(place.state, "n1", place.desk, place.settle)
    place.keeper.open()
    await until(lambda: place.held() not in (0, number), 60)
    assert (await place.lease()).value == HostLease(node="n1")


async def test_after_the_deadline_it_is_a_new_tenure_also_if_nobody_noticed(place: Place) -> None:
    place.desk.write(Tenure(number=1, deadline=tenure.now()))
    await place.state.create(HOST_LEASES, "n1", value=HostLease(node="n1"))
    place.keeper.open()
    await until(lambda: place.held() > 1, 60)
    assert (await place.lease()).value.lost_by == ""


async def test_a_renewal_that_took_too_long_holds_nothing(place: Place) -> None:
    place.keeper._hold(tenure.now() - int(tenure.GUARD * tenure.SECOND), fresh=True)
    assert place.desk.tenure() is None


async def test_a_disk_that_was_full_for_a_while_costs_the_lease_only_so_long(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = place.desk.write
    failed: list[Tenure] = []

    def full(held: Tenure) -> None:
        if len(failed) < 2:
            failed.append(held)
            raise OSError(errno.ENOSPC, "No space left on device")
        write(held)

    monkeypatch.setattr(place.desk, "write", full)
    place.keeper.open()
    await until(lambda: place.held() > 0, 60)
    assert len(failed) == 2
