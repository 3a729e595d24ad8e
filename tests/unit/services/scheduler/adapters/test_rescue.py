from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.scheduler.adapters import rescue
from services.scheduler.adapters.placing import Placing
from services.scheduler.adapters.rescue import Rescue
from services.scheduler.adapters.world import World
from services.scheduler.domain import vigil
from shared import tenure
from shared.bus import MemoryBroker
from shared.contracts import executor
from shared.contracts.common import Revision
from shared.contracts.movable import MOVABLE, MovableRecord, TakeRequest
from shared.contracts.scheduler import HOST_LEASES, NODES, HostLease
from shared.errors import Conflict, FailedPrecondition, Unavailable
from shared.state import MemoryState
from shared.testing import kernel, serving
from tests.support.gateways import as_far_as
from tests.support.waiting import until
from tests.unit.services.scheduler.adapters.test_world import container, record


@dataclass
class Taker:
    """An executor that takes what it is given, or cannot."""

    state: MemoryState
    node: str
    broken: bool = False
    taken_port: bool = False
    asked: list[str] = field(default_factory=list)

    async def take(self, request: TakeRequest) -> Revision:
        self.asked.append(request.id)
        if self.broken:
            raise Unavailable("broken")
        if self.taken_port:
            raise Conflict("port is already allocated")
        entry = await self.state.get(MOVABLE, request.id)
        if entry is None or entry.revision != request.revision:
            raise Conflict("changed")
        value = MovableRecord(node=self.node, spec=entry.value.spec, wanted=True)
        return Revision(revision=await self.state.update(MOVABLE, request.id, value=value, revision=entry.revision))


@dataclass
class Cluster:
    state: MemoryState
    one: Taker
    two: Taker
    rescue: Rescue
    heard: asyncio.Event
    """Set while hosts 1 and 2 are heard of."""

    async def had(self, id: str, node: str) -> None:
        await self.state.create(MOVABLE, id, value=MovableRecord(node=node, spec=container(id, id), wanted=True))

    async def node_of(self, id: str) -> str:
        entry = await self.state.get(MOVABLE, id)
        assert entry is not None
        return entry.value.node


@pytest.fixture
async def cluster(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """Hosts 1 and 2 are there, 3 is dead; this is host 1, which leads."""
    monkeypatch.setattr(vigil, "LOST", 0.2)
    monkeypatch.setattr(rescue, "AVOID_SECONDS", 0.2)
    broker, own = MemoryBroker(), MemoryState()
    own.hosts = {"n2": MemoryState(), "n3": MemoryState()}
    one, two = Taker(own, "n1"), Taker(own, "n2")
    for node in ("n1", "n2", "n3"):
        await own.create(NODES, node, value=record(node))
    async with AsyncExitStack() as stack:
        for taker in (one, two):
            at = await stack.enter_async_context(kernel(taker.node, directory, broker, own, node=taker.node))
            await stack.enter_async_context(serving(at, as_far_as(executor.CONTRACT, taker), taker))
        mine = await stack.enter_async_context(kernel("scheduler", directory, broker, own, node="n1"))
        view = await own.view(NODES)
        world = World(own, "n1", view)
        await world.open()
        heard = asyncio.Event()
        heard.set()
        made = Cluster(own, one, two, Rescue(mine, world, Placing(mine, world, lambda: True), view), heard)
        renewing = mine.tasks.start(_renew(own, heard), "renew")
        await until(lambda: (HOST_LEASES.bucket, HOST_LEASES.key("n2")) in own._records, 60)
        yield made
        await made.rescue.close()
        renewing.cancel()
        await world.close()


async def _renew(state: MemoryState, heard: asyncio.Event) -> None:
    revisions = {node: await state.create(HOST_LEASES, node, value=HostLease(node=node)) for node in ("n1", "n2")}
    while True:
        await asyncio.sleep(0.01)
        await heard.wait()
        for node, revision in revisions.items():
            revisions[node] = await state.update(HOST_LEASES, node, value=HostLease(node=node), revision=revision)


async def test_what_a_silent_host_had_is_started_elsewhere(cluster: Cluster) -> None:
    await cluster.state.create(HOST_LEASES, "n3", value=HostLease(node="n3"))
    for id in ("a", "b"):
        await cluster.had(id, "n3")
    await cluster.had("well", "n2")
    await cluster.rescue.open()
    await until(lambda: len(cluster.one.asked + cluster.two.asked) == 2, 60)
    lease = await cluster.state.get(HOST_LEASES, "n3")
    assert lease is not None
    assert lease.value.lost_by == "n1"
    assert {await cluster.node_of("a"), await cluster.node_of("b")} == {"n1", "n2"}
    assert await cluster.node_of("well") == "n2"


async def test_who_heard_of_nobody_for_a_while_goes_on(cluster: Cluster) -> None:
    """Its watch had ended at the host that was lost, and began again at another."""
    await cluster.state.create(HOST_LEASES, "n3", value=HostLease(node="n3"))
    await cluster.had("a", "n3")
    cluster.heard.clear()
    await cluster.rescue.open()
    await until(lambda: len(cluster.rescue._vigil.silent(tenure.now())) == 3, 60)
    await asyncio.sleep(0.05)  # it has looked, and found that there is nobody to act
    cluster.heard.set()
    await until(lambda: bool(cluster.one.asked + cluster.two.asked), 10)
    assert await cluster.node_of("a") in ("n1", "n2")


async def test_a_host_is_given_up_when_the_hubs_answer_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescue, "RETRY", 0.05)
    await cluster.state.create(HOST_LEASES, "n3", value=HostLease(node="n3"))
    await cluster.had("a", "n3")
    update, refused = cluster.state.update, list[str]()

    async def electing(keys: Any, *parts: str, value: Any, revision: int) -> int:
        if parts == ("n3",) and len(refused) < 3:
            refused.append(parts[0])
            raise Unavailable("nobody leads")
        return await update(keys, *parts, value=value, revision=revision)

    monkeypatch.setattr(cluster.state, "update", electing)
    monkeypatch.setattr(vigil, "LOST", 2.0)
    begun = tenure.now()
    await cluster.rescue.open()
    await until(lambda: bool(cluster.one.asked + cluster.two.asked), 60)
    assert len(refused) == 3
    assert (tenure.now() - begun) / tenure.SECOND < 6  # not a lease's time for each


async def test_a_host_that_cannot_is_avoided_for_a_while(cluster: Cluster) -> None:
    await cluster.state.create(HOST_LEASES, "n3", value=HostLease(node="n3", lost_by="n2"))
    cluster.one.broken = True
    await cluster.had("a", "n3")
    await cluster.rescue.open()
    await until(lambda: bool(cluster.two.asked), 60)
    assert await cluster.node_of("a") == "n2"
    cluster.two.broken = True
    await cluster.had("b", "")
    await until(lambda: cluster.one.asked.count("b") + cluster.two.asked.count("b") >= 2, 60)
    cluster.one.broken = cluster.two.broken = False
    await until(lambda: cluster.one.asked.count("b") + cluster.two.asked.count("b") >= 3, 60)


async def test_a_host_that_was_removed_is_lost_as_well(cluster: Cluster) -> None:
    await cluster.state.delete(NODES, "n3")
    await cluster.had("a", "n3")
    await cluster.rescue.open()
    await until(lambda: bool(cluster.one.asked + cluster.two.asked), 60)
    assert await cluster.node_of("a") in ("n1", "n2")


async def test_what_no_host_can_have_is_not_tried_all_the_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "AVOID_SECONDS", 1000.0)
    decided: list[str] = []
    monkeypatch.setattr(cluster.rescue._world.fleet, "decide", lambda ask: _nobody(decided))
    await cluster.had("a", "")
    await cluster.rescue.open()
    await until(lambda: bool(decided), 60)
    for id in ("b", "c", "d"):  # each is looked at, and all others with it
        await cluster.had(id, "")
        await until(partial(_avoided, cluster, id), 60)
    assert len(decided) == 4


async def test_who_refuses_is_not_asked_again_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescue, "AVOID_SECONDS", 1000.0)
    cluster.one.taken_port = cluster.two.taken_port = True
    await cluster.had("a", "")
    await cluster.rescue.open()
    await until(lambda: ("a", "") in cluster.rescue._avoid, 60)
    assert sorted((cluster.one.asked, cluster.two.asked)) == [["a"], ["a"]]


def _avoided(cluster: Cluster, id: str) -> bool:
    return (id, "") in cluster.rescue._avoid


def _nobody(asked: list[str]) -> str:
    asked.append("")
    raise FailedPrecondition("no suitable node")


async def test_what_a_hub_that_is_behind_does_not_show_is_not_lost(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has neither the record nor the lease of a host that is there."""
    await cluster.had("a", "n3")
    cluster.rescue._nodes.retain({NODES.key("n1"), NODES.key("n2")})
    get, asked = cluster.state.get, asyncio.Event()

    async def ask(keys: Any, *parts: str, host: str = "") -> Any:
        found = await get(keys, *parts, host=host)
        if (keys, parts) == (NODES, ("n3",)):
            asked.set()
        return found

    monkeypatch.setattr(cluster.state, "get", ask)
    await cluster.rescue.open()
    await asyncio.wait_for(asked.wait(), 60)
    await until(lambda: not cluster.rescue._rescuing, 60)
    assert cluster.one.asked == cluster.two.asked == []


async def test_who_leads_no_more_does_not_look_at_what_has_passed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "leader", lambda present: "n2")
    cluster.rescue._avoid["a", ""] = asyncio.get_running_loop().time() + 0.01
    await cluster.rescue.open()
    await until(lambda: not cluster.rescue._avoid, 10)
    assert not cluster.rescue._rescuing
