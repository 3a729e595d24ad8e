from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.executor.adapters import patience
from services.executor.adapters import records as adapter
from services.executor.adapters.cluster_names import ClusterNames
from services.executor.adapters.records import Records
from shared.contracts.base import AGREED
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig
from shared.contracts.executor import NAMES, PLACEMENTS, SPECS, STATUSES
from shared.errors import AlreadyExists, Conflict, ShoalError, Unavailable
from shared.state import MemoryState, State
from shared.tasks import TaskGroup

SPEC = ContainerSpec(id="c", name="web", created=1, config=ContainerConfig(), host_config=HostConfig())
RUNNING = ContainerStatus(state="running")


def make(state: State) -> Records:
    return Records(state, "node1", "host1", TaskGroup("test"))


class Faulty(MemoryState):
    """Fails before or after it did what was asked."""

    before: list[ShoalError]
    after: list[ShoalError]

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = [], []

    async def update(self, *args: Any, **kwargs: Any) -> int:
        if self.before:
            raise self.before.pop()
        revision = await super().update(*args, **kwargs)
        if self.after:
            raise self.after.pop()
        return revision


async def test_a_container_from_first_to_last_record() -> None:
    state = MemoryState()
    records, other = make(state), Records(state, "node2", "host2", TaskGroup("test"))
    await records.reserve("web", "c")
    with pytest.raises(AlreadyExists):
        await other.reserve("web", "x")
    assert await other.holder("web") == "c"
    assert await other.holder("fish") == ""
    await records.place("c")
    spec_revision = await records.create(SPEC)
    status_revision = await records.update_status("c", RUNNING, 0)
    stored = await records.load()
    assert stored.specs == {"c": (SPEC, spec_revision)}
    assert stored.statuses == {"c": (RUNNING, status_revision)}
    assert (set(stored.placements), stored.names) == ({"c"}, {"web": "c"})
    assert (await other.load()).specs == {}
    await records.forget(SPEC)
    assert await state.get(SPECS, "c") is None
    await asyncio.sleep(0)
    assert await state.get(NAMES, "web") is None
    left = await records.load()
    assert (left.specs, set(left.placements)) == ({}, {"c"})
    await records.bury("c")
    assert await state.get(STATUSES, "c") is None
    assert await state.get(PLACEMENTS, "c") is None


async def test_the_spec_goes_before_the_name() -> None:
    state, order = MemoryState(), []
    view = await state.view(NAMES, SPECS, STATUSES, PLACEMENTS)
    records = make(state)
    await records.reserve("web", "c")
    await records.create(SPEC)
    view.on_change(lambda keys, parts, entry: order.append((keys.pattern, entry is not None)))
    revision = await records.forget(SPEC)
    await view.reached(revision + 1)
    assert order[-2:] == [(SPECS.pattern, False), (NAMES.pattern, False)]


async def test_a_status_is_written_until_it_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.001)
    state = Faulty()
    records = make(state)
    revision = await records.update_status("c", ContainerStatus(), 0)
    state.before = [Unavailable("away"), Unavailable("away")]
    revision = await records.update_status("c", RUNNING, revision)
    state.after = [Unavailable("the answer got lost")]
    ended = ContainerStatus(state="exited")
    written = await records.update_status("c", ended, revision)
    found = await state.get(STATUSES, "c")
    assert found is not None
    assert (found.value, found.revision) == (ended, written)


async def test_another_writer_is_a_conflict() -> None:
    state = MemoryState()
    records = make(state)
    revision = await records.update_status("c", ContainerStatus(), 0)
    await records.update_status("c", RUNNING, revision)
    with pytest.raises(Conflict):
        await records.update_status("c", ContainerStatus(state="exited"), revision)


async def test_a_first_status_where_there_was_none() -> None:
    records = make(MemoryState())
    assert await records.update_status("c", RUNNING, 0) > 0
    with pytest.raises(Conflict):
        await records.update_status("c", ContainerStatus(), 0)


async def test_volumes_in_the_making() -> None:
    state = MemoryState()
    records = make(state)
    await records.making("gone", ("v",))
    await records.place("c")
    await records.making("c", ("v1", "v2"))
    assert (await records.load()).placements["c"].making == ("v1", "v2")
    await records.making("c", ())
    assert (await records.load()).placements["c"].making == ()


class Distant(MemoryState):
    """The agreed records are far away: what is deleted there goes when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def delete(self, keys: Any, *parts: str, **kwargs: Any) -> int:
        if keys.bucket == AGREED:
            await self.let_go.wait()
        return await super().delete(keys, *parts, **kwargs)


async def test_who_saw_a_container_go_takes_its_name_in_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the cluster cannot be told."""
    monkeypatch.setattr(adapter, "TOLD_WITHIN", 0.05)
    state, tasks = Distant(), TaskGroup("test")
    records = Records(state, "node1", "host1", tasks, ClusterNames(state, "node1", tasks))
    await records.reserve("web", "c")
    await records.create(SPEC)
    await records.forget(SPEC)
    taking = asyncio.ensure_future(records.reserve("web", "d"))
    await asyncio.wait((taking,), timeout=0.1)
    assert not taking.done()
    state.let_go.set()
    await taking
    assert await records.holder("web") == "d"
    assert records._leaving == {}


async def test_a_removed_containers_name_is_free_on_every_host() -> None:
    state, tasks = Distant(), TaskGroup("test")
    one, two = (Records(state, node, node, tasks, ClusterNames(state, node, tasks)) for node in ("node1", "node2"))
    await one.reserve("web", "c")
    await one.create(SPEC)
    forgetting = asyncio.ensure_future(one.forget(SPEC))
    await asyncio.wait((forgetting,), timeout=0.1)
    assert not forgetting.done()
    state.let_go.set()
    await forgetting
    await two.reserve("web", "d")
