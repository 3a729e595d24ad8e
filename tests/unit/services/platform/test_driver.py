"""The driver as others meet it: on the bus, by its name."""

from __future__ import annotations

import errno
import os

import pytest

from services.platform.adapters import criu
from services.platform.adapters.departing import Departure
from shared.contracts import migration_driver
from shared.contracts.common import Ref
from shared.contracts.migration_driver import MIGRATABLE, MigratableRequest
from shared.errors import FailedPrecondition
from shared.testing import serving
from tests.support.moving_hosts import COUNT, Pair, counted
from tests.support.platform_host import Host


async def test_it_is_served_beside_the_platform(host: Host) -> None:
    ((contract, node, driver),) = host.service.drivers
    assert (contract, node) == (migration_driver.CONTRACT, "node1-criu")
    async with serving(host.kernel, contract, driver, node):
        told = await host.kernel.bus.call(MIGRATABLE, MigratableRequest(), node)
    assert told.log
    assert "this host is in no cluster" in told.reasons


async def test_a_full_host_is_a_reason_and_no_defect(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was an internal error. What was begun is taken back as ever."""

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x")

    request = await pair.started(*COUNT)
    with monkeypatch.context() as patched:
        patched.setattr(criu, "ensure_fast", full)
        with pytest.raises(FailedPrecondition, match="cannot be moved: No space left on device: /run/x"):
            await pair.sent(request)
    await pair.sent(request)
    with monkeypatch.context() as patched:
        patched.setattr(Departure, "write", full)
        with pytest.raises(FailedPrecondition, match="No space left on device"):
            await pair.a.driver.freeze(Ref(id=request.id))
    await pair.a.driver.thaw(Ref(id=request.id))
    await pair.b.driver.abandon(Ref(id=request.id))
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))
