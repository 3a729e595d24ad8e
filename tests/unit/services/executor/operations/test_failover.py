"""Containers of a cluster's host: they run while it holds its lease, and go where another host is named."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.executor.service import build
from shared import tenure
from shared.contracts import executor as contract
from shared.contracts.base import Empty
from shared.contracts.container import ContainerConfig, HostConfig, RestartPolicy
from shared.contracts.executor import CLUSTER_NAMES
from shared.contracts.movable import MOVABLE, SETTLE, TAKE, MovableRecord, TakeRequest
from shared.errors import ShoalError, Unavailable
from shared.service import Kernel
from shared.state.view import Entry
from shared.tenure import SECOND, Desk, Tenure
from tests.support.executor_node import Crash, Node


class Member(Node):
    """A host in a cluster, with a lease."""

    desk: Desk
    member = True

    async def boot(self, crash: Crash | None = None) -> None:
        def prepare(kernel: Kernel) -> None:
            kernel.clustered = self.member
            self.desk = Desk(kernel.settings)

        self.executor = await self.start(contract.CONTRACT, build, prepare)

    def hold(self, number: int = 1, seconds: int = 1000) -> None:
        self.desk.write(Tenure(number=number, deadline=tenure.now() + seconds * SECOND))

    async def movable(self, *cmd: str) -> str:
        request = contract.CreateRequest(
            config=ContainerConfig(image="busybox", cmd=cmd),
            host_config=HostConfig(restart_policy=RestartPolicy(name="always")),
            name="web",
            movable=True,
        )
        return str((await self.call(contract.CREATE, request)).id)

    async def record(self, id: str) -> Entry[MovableRecord]:
        entry = await self.state.get(MOVABLE, id)
        assert entry is not None
        return entry

    async def give(self, id: str, node: str) -> MovableRecord:
        """As another host does that takes it."""
        entry = await self.record(id)
        spec = msgspec.structs.replace(entry.value.spec, generation=entry.value.spec.generation + 1)
        value = MovableRecord(node=node, spec=spec, wanted=True, left=(self.executor._engine.node,))
        await self.state.update(MOVABLE, id, value=value, revision=entry.revision)
        return value


@pytest.fixture
async def node() -> AsyncIterator[Member]:
    with tempfile.TemporaryDirectory(prefix="shoal") as directory:
        made = Member(Path(directory))
        await made.open()
        await made.boot()
        made.hold()
        try:
            yield made
        finally:
            await made.close()


async def test_the_hubs_know_whether_it_should_run(node: Member) -> None:
    id = await node.movable("sleep")
    assert (await node.record(id)).value.wanted is False
    await node.begin(id)
    assert (await node.record(id)).value.wanted is True
    assert [marked for marked, _ in node.desk.marked()] == [id]
    await node.stop(id)
    assert (await node.record(id)).value.wanted is False
    await node.remove(id)
    assert await node.state.get(MOVABLE, id) is None
    assert list(node.desk.marked()) == []


async def test_without_a_lease_it_is_not_started(node: Member) -> None:
    id = await node.movable("sleep")
    node.hold(seconds=0)
    with pytest.raises(Unavailable, match="cut off"):
        await node.call(contract.START, contract.StartRequest(id=id))
    assert node.status(id).error == ""
    bound = await node.run("sleep", restart_policy=RestartPolicy(name="always"))
    assert node.status(bound).state == "running"  # what nobody else may start needs no lease


async def test_what_the_fence_ended_waits_for_the_lease(node: Member) -> None:
    id = await node.movable("sleep")
    await node.begin(id)
    node.hold(seconds=0)
    node.platform.end(id, 137)
    await node.until(lambda: node.status(id).fenced)
    assert node.status(id).state == "restarting"
    node.hold(2)
    await node.call(SETTLE, Empty())
    await node.in_state(id, "running")
    assert not node.status(id).fenced


async def test_who_stops_what_waits_for_the_lease_keeps_it_down(node: Member) -> None:
    id = await node.movable("sleep")
    await node.begin(id)
    node.hold(seconds=0)
    node.platform.end(id, 137)
    await node.until(lambda: node.status(id).fenced)
    await node.stop(id)
    node.hold(2)
    await node.call(SETTLE, Empty())
    assert node.status(id).state == "exited"
    assert (await node.record(id)).value.wanted is False


async def test_what_another_host_took_is_dropped_without_a_word(node: Member) -> None:
    id = await node.movable("sleep")
    await node.begin(id)
    await node.give(id, "elsewhere")
    told = len(node.events)
    node.hold(2)
    await node.call(SETTLE, Empty())
    assert node.spec(id) is None
    await node.gone(id)
    record = (await node.record(id)).value
    assert (record.node, record.left) == ("elsewhere", ())
    assert "destroy" not in node.actions(id)[told:]
    name = await node.state.get(CLUSTER_NAMES, "web")
    assert name is not None  # it is the container's name, wherever it is
    assert name.value.id == id


async def test_a_lost_hosts_container_is_taken_and_runs(node: Member) -> None:
    id = await node.movable("sleep")
    await node.give(id, "elsewhere")
    await node.call(SETTLE, Empty())
    await node.gone(id)
    entry = await node.record(id)
    await node.call(TAKE, TakeRequest(id=id, revision=entry.revision))
    await node.in_state(id, "running")
    spec, record = node.spec(id), (await node.record(id)).value
    assert spec is not None
    assert (spec.generation, spec.name, record.spec) == (3, "web", spec)
    name = await node.state.get(CLUSTER_NAMES, "web")
    assert name is not None
    assert name.value.node == record.node == node.executor._engine.node


async def test_what_cannot_be_started_here_is_nobodys_and_leaves_nothing(node: Member) -> None:
    id = await node.movable("sleep")
    await node.give(id, "elsewhere")
    await node.call(SETTLE, Empty())
    await node.gone(id)
    node.platform.fail["create"].append(Unavailable("no"))
    with pytest.raises(ShoalError):
        await node.call(TAKE, TakeRequest(id=id, revision=(await node.record(id)).revision))
    assert (await node.record(id)).value.node == ""
    await node.gone(id)


async def taken_and_not_made(node: Member) -> str:
    """A container that the record says is this host's, which has not made it: its taking over was interrupted."""
    id = await node.movable("sleep")
    await node.give(id, "elsewhere")
    await node.call(SETTLE, Empty())
    await node.gone(id)
    entry = await node.record(id)
    mine = msgspec.structs.replace(entry.value, node=node.executor._engine.node)
    await node.state.update(MOVABLE, id, value=mine, revision=entry.revision)
    return id


async def test_an_interrupted_taking_over_is_finished(node: Member) -> None:
    id = await taken_and_not_made(node)
    await node.die()
    await node.boot()
    await node.in_state(id, "running")
    assert node.spec(id) is not None


async def test_after_a_power_cut_it_waits_for_the_lease(node: Member) -> None:
    id = await node.movable("sleep")
    await node.begin(id)
    node.hold(seconds=0)
    await node.reboot()
    await node.until(lambda: node.status(id).fenced)
    assert node.platform.machines == {}
    node.hold(2)
    await node.call(SETTLE, Empty())
    await node.in_state(id, "running")


async def test_a_host_that_left_its_cluster_starts_nothing_by_itself_that_another_may_have(node: Member) -> None:
    id = await node.movable("sleep")
    await node.begin(id)
    node.member = False
    await node.reboot()
    await node.in_state(id, "exited")
    assert node.platform.machines == {}
    await node.begin(id)  # who knows better says so
    await node.in_state(id, "running")


async def test_what_is_bound_later_stays(node: Member) -> None:
    id = await node.movable("sleep")
    await node.begin(id)
    policy = RestartPolicy(name="no")
    reply = await node.call(contract.UPDATE, contract.UpdateRequest(id=id, restart_policy=policy))
    await node.view.reached(reply.revision)
    spec = node.spec(id)
    assert spec is not None
    assert spec.generation == 0
    assert await node.state.get(MOVABLE, id) is None
    assert list(node.desk.marked()) == []


async def test_two_that_settle_make_an_interrupted_one_once(node: Member) -> None:
    id = await taken_and_not_made(node)
    await asyncio.gather(*(node.call(SETTLE, Empty()) for _ in range(3)))
    assert node.status(id).state == "running"
    record = await node.record(id)
    assert record.value.node == node.executor._engine.node
    assert node.actions(id).count("start") == 1
