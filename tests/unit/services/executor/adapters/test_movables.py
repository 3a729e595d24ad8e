from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from services.executor.adapters import patience
from services.executor.adapters.movables import Movables
from shared import tenure
from shared.config import Settings
from shared.contracts.base import Keys, Message
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig
from shared.contracts.movable import MOVABLE, MovableRecord
from shared.errors import Conflict, NotFound, Unavailable
from shared.state.view import Entry
from shared.tasks import TaskGroup
from shared.tenure import SECOND, Desk, Tenure
from tests.support.waiting import until
from tests.unit.services.executor.adapters.test_cluster_names import Cluster

M = TypeVar("M", bound=Message)
SPEC = ContainerSpec(id="c", name="n", created=1, config=ContainerConfig(), host_config=HostConfig(), generation=1)


class Party:
    """One host's movable containers, and its lease."""

    def __init__(self, state: Cluster, node: str, directory: Path) -> None:
        self.desk = Desk(Settings(run_dir=str(directory / node)))
        self.movables = Movables(state, node, self.desk, "shoal", TaskGroup("test"))
        self.hold()

    def hold(self, number: int = 1, seconds: int = 1000) -> None:
        self.desk.write(Tenure(number=number, deadline=tenure.now() + seconds * SECOND))


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.001)
    return Cluster()


async def record(state: Cluster) -> MovableRecord | None:
    entry = await state.get(MOVABLE, "c")
    return entry.value if entry is not None else None


async def revision(state: Cluster) -> int:
    entry = await state.get(MOVABLE, "c")
    assert entry is not None
    return int(entry.revision)


async def test_it_runs_only_with_a_lease_and_a_claim_in_it(state: Cluster, directory: Path) -> None:
    one = Party(state, "n1", directory)
    await one.movables.begin(SPEC)
    assert not one.movables.may_run("c")
    await one.movables.admit(SPEC)
    assert one.movables.may_run("c")
    assert list(one.desk.marked()) == [("c", "/shoal/c")]
    one.hold(2)
    assert not one.movables.may_run("c")  # the lease was lost in between: another may have it
    one.hold(2, seconds=0)
    with pytest.raises(Unavailable, match="cut off"):
        await one.movables.admit(SPEC)
    one.hold(3)
    state.cut = True
    with pytest.raises(Unavailable, match="cut off"):
        await one.movables.admit(SPEC)


async def test_of_two_who_take_it_one_has_it(state: Cluster, directory: Path) -> None:
    one, two, three = (Party(state, node, directory) for node in ("n1", "n2", "n3"))
    await one.movables.begin(SPEC)
    await one.movables.admit(SPEC)
    token = await revision(state)
    taken = await two.movables.take("c", token)
    assert (taken.node, taken.spec.generation, taken.left, taken.wanted) == ("n2", 2, ("n1",), True)
    with pytest.raises(Conflict):
        await three.movables.take("c", token)
    with pytest.raises(NotFound):
        await three.movables.take("unknown", token)
    one.hold(2)
    with pytest.raises(Conflict, match="on another host"):
        await one.movables.admit(SPEC)
    await one.movables.leave("c")
    assert list(one.desk.marked()) == []
    assert (await record(state)) == msgspec.structs.replace(taken, left=())


async def test_what_could_not_be_started_is_nobodys(state: Cluster, directory: Path) -> None:
    one, two = Party(state, "n1", directory), Party(state, "n2", directory)
    await one.movables.begin(SPEC)
    await two.movables.take("c", await revision(state))
    await two.movables.give_back("c")
    given = await record(state)
    assert given is not None
    assert (given.node, given.wanted, given.left) == ("", True, ("n1",))
    assert (await one.movables.take("c", await revision(state))).left == ()


async def test_a_removed_one_is_remembered_until_its_earlier_host_knows(state: Cluster, directory: Path) -> None:
    one, two = Party(state, "n1", directory), Party(state, "n2", directory)
    await one.movables.begin(SPEC)
    await two.movables.take("c", await revision(state))
    await two.movables.forget("c")
    left = await record(state)
    assert left is not None
    assert (left.removed, left.left) == (True, ("n1",))
    with pytest.raises(Conflict):
        await one.movables.take("c", await revision(state))
    await one.movables.leave("c")
    assert await record(state) is None
    await two.movables.begin(SPEC)
    await two.movables.forget("c")
    assert await record(state) is None


async def test_the_hubs_are_told_when_they_can_be_asked_again(state: Cluster, directory: Path) -> None:
    one = Party(state, "n1", directory)
    await one.movables.begin(SPEC)
    state.cut = True
    one.movables.tell(SPEC, wanted=True)
    one.movables.tell(msgspec.structs.replace(SPEC, name="new"), wanted=False)
    await one.movables.told("c", 0.01)
    state.cut = False
    await until(lambda: not one.movables._telling, 60)
    told = await record(state)
    assert told is not None
    assert (told.spec.name, told.wanted) == ("new", False)
    assert await one.movables.records() == {"c": told}
    one.movables.tell(told.spec, wanted=False)
    assert not one.movables._telling  # known already


async def test_a_removal_while_cut_off_is_told_later(state: Cluster, directory: Path) -> None:
    one = Party(state, "n1", directory)
    await one.movables.begin(SPEC)
    state.cut = True
    await one.movables.forget("c")
    state.cut = False
    assert await record(state) is not None
    await until(lambda: (MOVABLE.bucket, MOVABLE.key("c")) not in state._records, 60)


class Behind(Cluster):
    """Answers reads as of before the last write until it is `current`, and counts the writes that it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Entry[Any] | None] = {}
        self.refused = 0

    def fall_behind(self, entry: Entry[Any]) -> None:
        self.before[entry.key] = entry
        asyncio.get_running_loop().call_later(0.25, self.before.clear)

    async def get(self, keys: Keys[M], *parts: str, host: str = "") -> Entry[M] | None:
        return self.before.get(keys.key(*parts)) or await super().get(keys, *parts, host=host)

    async def update(self, keys: Keys[M], *parts: str, value: M, revision: int) -> int:
        try:
            return await super().update(keys, *parts, value=value, revision=revision)
        except Conflict:
            self.refused += 1
            raise


@pytest.mark.parametrize("write", ["_forget", "bind", "leave"])
async def test_a_hub_that_is_behind_is_not_asked_without_a_pause(directory: Path, write: str) -> None:
    state = Behind()
    one, two = Party(state, "n1", directory), Party(state, "n2", directory)
    await one.movables.begin(SPEC)
    await two.movables.take("c", await revision(state))
    await one.movables.take("c", await revision(state))
    old = await state.get(MOVABLE, "c")
    assert old is not None
    await state.update(MOVABLE, "c", value=msgspec.structs.replace(old.value, left=("n1", "n2")), revision=old.revision)
    state.fall_behind(old)
    host = two if write == "leave" else one
    await getattr(host.movables, write)("c")
    assert not state.before
    assert 1 <= state.refused <= 4
