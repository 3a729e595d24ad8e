"""Whole moves between two simulated hosts, and what is left of them when somebody dies."""

from __future__ import annotations

import asyncio

import pytest

from shared.contracts import migrator, network
from shared.contracts.base import Empty
from shared.contracts.container import RestartPolicy
from shared.contracts.executor import SPECS
from shared.contracts.migrator import MIGRATIONS, MigrateReply, MigrateRequest, MigrationRef, Progress
from shared.contracts.scheduler import NODES
from shared.contracts.volume import VolumeSpec
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from shared.state.view import Entry
from tests.support.executor_node import Crash
from tests.support.moving import Hosts
from tests.support.waiting import until


async def test_a_cold_move_and_back(pair: Hosts) -> None:
    id = await pair.with_volume("sleep", name="web", restart_policy=RestartPolicy(name="always"))
    reply, told = await pair.migrate(id, strategy="cold")
    assert (reply.plan.strategy, reply.plan.node_name) == ("cold", "node2")
    assert told[-1].result is not None
    assert told[-1].result.file_bytes >= 30
    await pair.two.in_state(id, "running")
    assert (pair.running(id), pair.owners(id)) == (["node2"], ["node2"])
    assert set(pair.two.volume.volumes) == {"data"}
    assert not pair.one.volume.volumes
    assert await pair.unfinished() == []
    assert "migrate" in pair.two.actions(id)
    assert "destroy" not in pair.one.actions(id)
    spec = pair.two.spec(id)
    assert spec is not None
    assert (spec.name, spec.mounts[0].source) == ("web", "/volumes/data/_data")
    await pair.migrate(id, "node1", strategy="cold")
    await pair.one.in_state(id, "running")
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert pair.one.status(id).runs == 3
    assert await pair.unfinished() == []


@pytest.mark.parametrize("strategy", ["copy", "post-copy"])
async def test_a_live_move_and_back(pair: Hosts, strategy: str) -> None:
    """The same processes go on: counted as one run, and no end is told."""
    id = await pair.with_volume("sleep", name="web", network_mode="none")
    for node, other, to in ((pair.two, pair.one, "node2"), (pair.one, pair.two, "node1")):
        reply, told = await pair.migrate(id, to, strategy=strategy)
        assert reply.plan.strategy == strategy
        assert told[-1].result is not None
        assert told[-1].result.memory_bytes == 200
        assert told[-1].result.freeze_ms > 0
        assert (pair.running(id), pair.owners(id)) == ([to], [to])
        assert await pair.unfinished() == []
        status = node.status(id)
        assert (status.state, status.runs, status.pid) == ("running", 1, node.platform.machines[id].pid)
        assert not node.network.apart
        assert id not in other.network.stacks
        assert not {"die", "destroy", "stop"} & set(other.actions(id))


@pytest.mark.parametrize("step", ["freeze", "dump", "restore", "precopy", "receive"])
async def test_a_live_move_that_fails_changes_nothing(pair: Hosts, step: str) -> None:
    id = await pair.with_volume("sleep", name="web", network_mode="none")
    for node in (pair.one, pair.two):
        node.platform.fail[step] = [Unavailable("no way")]
    _, told = await pair.migrate(id)
    assert "no way" in told[-1].error
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert not pair.one.network.apart
    assert await pair.unfinished() == []
    assert pair.one.status(id).runs == 1


async def test_frames_would_reach_it_before_it_goes_on_and_the_network_does_the_rest_then(pair: Hosts) -> None:
    across = network.NetworkSpec(id="n" * 64, name="web", created=1, driver="overlay", scope="global", vni=4097)
    await pair.hubs.create(network.CLUSTER_SPECS, "4097", value=across)
    id = await pair.one.run("sleep", name="web", network_mode="web")
    asked = [network.StackRequest(container_id=id, soon=soon) for soon in (True, False)]
    moving = await held_by_two(pair, id)
    assert pair.two.network.requests("attach") == asked[:1]
    pair.two.platform.let_go("resume")
    await moving
    assert pair.two.network.requests("attach")[:2] == asked  # the target's own migrator may ask again
    assert pair.running(id) == ["node2"]


async def test_a_network_that_cannot_be_reached_there_keeps_it_at_its_source(pair: Hosts) -> None:
    across = network.NetworkSpec(id="n" * 64, name="web", created=1, driver="overlay", scope="global", vni=4097)
    await pair.hubs.create(network.CLUSTER_SPECS, "4097", value=across)
    id = await pair.one.run("sleep", name="web", network_mode="web")
    pair.two.network.fail["attach"] = [Unavailable("no way")]
    _, told = await pair.migrate(id)
    assert "no way" in told[-1].error
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert not pair.one.network.apart
    assert await pair.unfinished() == []


async def test_processes_that_are_lost_after_they_went_on_have_ended_there(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web", network_mode="none")
    moving = await held_by_two(pair, id)
    del pair.two.platform.machines[id]
    pair.two.platform.fail["resume"] = [FailedPrecondition("it went on, and is lost")]
    pair.two.platform.let_go("resume")
    await moving
    await pair.two.in_state(id, "exited")
    assert (pair.running(id), pair.owners(id)) == ([], ["node2"])
    assert await pair.unfinished() == []


async def test_what_a_target_has_lost_before_it_went_on_goes_on_at_the_source(pair: Hosts) -> None:
    """Its host went down after the switch, before anything went on there."""
    id = await pair.one.run("sleep", name="web", network_mode="none")
    moving = await held_by_two(pair, id)
    del pair.two.platform.machines[id]
    pair.two.platform.let_go("resume")
    _, told = await moving
    assert "no such workload" in told[-1].error
    assert pair.two.view.get(SPECS, id) is None
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert await pair.unfinished() == []
    assert not pair.two.leftovers()


@pytest.mark.parametrize("strategy", ["copy", "post-copy"])
async def test_it_is_switched_while_it_is_restored(pair: Hosts, strategy: str) -> None:
    """Nobody waits for that before: the driver does, with what is let go on."""
    id = await pair.one.run("sleep", name="web", network_mode="none")
    pair.two.platform.hold("restore")
    moving = asyncio.ensure_future(pair.migrate(id, strategy=strategy))
    await pair.two.platform.arrived("restore")
    await pair.two.in_state(id, "running")
    pair.two.platform.let_go("restore")
    _, told = await moving
    assert told[-1].result is not None
    assert (pair.running(id), pair.owners(id)) == (["node2"], ["node2"])
    assert await pair.unfinished() == []


async def test_what_cannot_be_restored_after_the_switch_goes_on_at_its_source(pair: Hosts) -> None:
    """The client hears why."""
    id = await pair.one.run("sleep", name="web", network_mode="none")
    pair.two.platform.hold("restore")
    pair.two.platform.fail["restore"] = [FailedPrecondition("a mount is missing")]
    moving = await held_by_two(pair, id)
    pair.two.platform.let_go("restore")
    await until(lambda: not pair.two.platform.machines)
    pair.two.platform.let_go("resume")
    _, told = await moving
    assert "a mount is missing" in told[-1].error
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert await pair.unfinished() == []
    assert not pair.two.leftovers()


async def held_by_two(pair: Hosts, id: str) -> asyncio.Future[tuple[MigrateReply, list[Progress]]]:
    """The container is switched, and the target's driver is just told to let it go on."""
    pair.two.platform.hold("resume")
    moving = asyncio.ensure_future(pair.migrate(id))
    await pair.two.platform.arrived("resume")
    return moving


async def removed(pair: Hosts) -> None:
    """The second host is down, and somebody removes it from the cluster."""
    await pair.two.die()
    entry = await pair.hubs.get(NODES, "node2")
    assert entry is not None
    await pair.hubs.delete(NODES, "node2", revision=entry.revision)


async def test_what_a_removed_host_had_not_taken_over_goes_on_at_the_source(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web", network_mode="none")
    moving = await held_by_two(pair, id)
    await removed(pair)
    _, told = await moving
    assert "node2 was removed from the cluster" in told[-1].error
    assert pair.running(id) == ["node1"]
    assert pair.one.status(id).leaving is None
    assert await pair.hubs.get(MIGRATIONS, id) is None


async def test_what_a_removed_host_had_taken_over_is_its_own(pair: Hosts) -> None:
    """Also when whoever knew that it had is gone."""
    id = await pair.one.run("sleep", name="web", network_mode="none")
    pair.one.platform.hold("discard")
    moving = asyncio.ensure_future(pair.migrate(id))
    await pair.one.platform.arrived("discard")
    await pair.kill(pair.one)
    moving.cancel()
    await removed(pair)
    pair.one.platform.let_go("discard")
    await pair.begin(pair.one)
    await until(lambda: id not in pair.one.platform.machines)
    await pair.one.until(lambda: pair.one.view.get(SPECS, id) is None)
    assert pair.running(id) == ["node2"]


async def test_what_does_not_run_is_not_started(pair: Hosts) -> None:
    id = await pair.one.create("sleep")
    _, told = await pair.migrate(id)
    assert told[-1].result is not None
    assert (pair.running(id), pair.owners(id)) == ([], ["node2"])
    assert pair.two.status(id).state == "created"


async def test_a_container_made_with_rm_stays_one(pair: Hosts) -> None:
    id = await pair.one.run("sleep", auto_remove=True)
    await pair.migrate(id, strategy="cold")
    await pair.two.in_state(id, "running")
    pair.two.platform.end(id, 0)
    await pair.two.gone(id)
    assert await pair.unfinished() == []


async def test_why_not(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    plan = await pair.one.call(migrator.PLAN, MigrateRequest(id=id, node="node2"))
    assert any("address on network bridge" in reason for reason in plan.reasons)
    with pytest.raises(FailedPrecondition, match="address on network bridge"):
        await pair.migrate(id)
    with pytest.raises(FailedPrecondition, match="it is on node1 already"):
        await pair.one.call(migrator.MIGRATE, MigrateRequest(id=id, node="node1", strategy="cold"))
    with pytest.raises(NotFound, match="no migration driver is called own on node1"):
        await pair.one.call(migrator.PLAN, MigrateRequest(id=id, node="node2", driver="own"))
    with pytest.raises(InvalidArgument, match="no name of a migration driver"):
        await pair.one.call(migrator.PLAN, MigrateRequest(id=id, node="node2", driver="own.*"))
    with pytest.raises(NotFound, match="node nope not found"):
        await pair.one.call(migrator.PLAN, MigrateRequest(id=id, node="nope"))
    with pytest.raises(NotFound, match="No such container"):
        await pair.one.call(migrator.PLAN, MigrateRequest(id="x" * 64, node="node2"))
    assert await pair.unfinished() == []


async def test_a_failure_takes_everything_back(pair: Hosts) -> None:
    id = await pair.with_volume("sleep", name="web")
    pair.one.volume.fail["sync_out"] = [Unavailable("no way"), Unavailable("no way")]
    _, told = await pair.migrate(id, strategy="cold")
    assert "no way" in told[-1].error
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert await pair.unfinished() == []
    assert pair.one.status(id).runs == 1  # it was never stopped
    pair.one.volume.fail["sync_out"] = []
    pair.two.volume.volumes["data"] = VolumeSpec(name="data")
    with pytest.raises(FailedPrecondition, match="node2 has a volume data already"):
        await pair.migrate(id, strategy="cold")
    assert set(pair.two.volume.volumes) == {"data"}
    assert pair.running(id) == ["node1"]


async def test_a_failure_when_it_is_stopped_starts_it_again(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    pair.one.image_store.hold("sync_out")
    moving = asyncio.ensure_future(pair.migrate(id, strategy="cold"))
    await pair.one.image_store.arrived("sync_out")
    pair.one.platform.fail["sync_out"] = [Unavailable("disk full")]
    pair.one.platform.calls.clear()
    pair.one.image_store.let_go("sync_out")
    _, told = await moving
    assert "disk full" in told[-1].error
    await pair.one.in_state(id, "running")
    assert (pair.running(id), pair.owners(id)) == (["node1"], ["node1"])
    assert await pair.unfinished() == []


async def test_one_at_a_time_and_broken_off(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    pair.one.image_store.hold("sync_out")
    moving = asyncio.ensure_future(pair.migrate(id, strategy="cold"))
    await pair.one.image_store.arrived("sync_out")
    with pytest.raises(Conflict, match="being migrated already"):
        await pair.migrate(id, strategy="cold")
    assert [each.id for each in (await pair.two.call(migrator.LIST, Empty())).migrations] == [id]
    with pytest.raises(Conflict, match="is being migrated"):
        await pair.one.remove(id, force=True)
    await pair.one.call(migrator.CANCEL, MigrationRef(id=id))
    pair.one.image_store.let_go("sync_out")
    _, told = await moving
    assert "broken off" in told[-1].error
    assert pair.running(id) == ["node1"]
    assert await pair.unfinished() == []
    with pytest.raises(NotFound):
        await pair.one.call(migrator.CANCEL, MigrationRef(id=id))


@pytest.mark.parametrize("strategy", ["cold", "copy", "post-copy"])
async def test_a_migrator_that_is_killed_anywhere(pair: Hosts, strategy: str) -> None:
    """At each of its calls and writes; another one finishes, forward or back."""
    where = []
    for step in range(1, 200, 5):
        id = await pair.with_volume("sleep", name="web", network_mode="none")
        await pair.kill(pair.one)
        crash = Crash(step)
        await pair.begin(pair.one, crash)
        moving = asyncio.ensure_future(pair.migrate(id, strategy=strategy))
        happened = asyncio.ensure_future(crash.happened.wait())
        await asyncio.wait((moving, happened), return_when=asyncio.FIRST_COMPLETED)
        await pair.kill(pair.one)
        moving.cancel()
        await asyncio.wait((moving,))
        await pair.begin(pair.one)
        await settled(pair, id)
        where += pair.running(id)
        owner = pair.one if where[-1] == "node1" else pair.two
        await owner.remove(id, force=True, volumes=True)
        for node in (pair.one, pair.two):
            node.volume.volumes.clear()
        await pair.one.until(lambda: not pair.one.leftovers() and not pair.two.leftovers())
        if not crash.happened.is_set():
            break
    happened.cancel()
    assert {"node1", "node2"} == set(where)
    assert where[-1] == "node2"  # the last one was not killed at all


async def settled(pair: Hosts, id: str) -> None:
    """One runs, its records are where it runs, and nothing is left of the move; never do two."""
    async with asyncio.timeout(60):
        while await pair.unfinished() or len(pair.running(id)) != 1 or pair.owners(id) != pair.running(id):
            assert len(pair.running(id)) < 2
            await asyncio.sleep(0.01)


async def test_an_executor_that_is_killed_at_the_source(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    pair.two.image_store.hold("fetch")
    moving = asyncio.ensure_future(pair.migrate(id, strategy="cold"))
    await pair.two.image_store.arrived("fetch")
    await pair.one.die()
    await pair.one.boot()
    pair.two.image_store.let_go("fetch")
    await moving
    await settled(pair, id)
    assert len(pair.running(id)) == 1


async def test_an_executor_that_is_killed_at_the_target(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    pair.one.image_store.hold("sync_out")
    moving = asyncio.ensure_future(pair.migrate(id, strategy="cold"))
    await pair.one.image_store.arrived("sync_out")
    await pair.two.die()
    await pair.two.boot()
    pair.one.image_store.let_go("sync_out")
    await moving
    await settled(pair, id)
    assert pair.running(id) == ["node2"]  # what was received is found again


async def test_a_source_that_is_gone_after_the_switch(pair: Hosts) -> None:
    """The target finds the record, and takes over by itself."""
    id = await pair.one.run("sleep", name="web")
    pair.one.image_store.hold("sync_out")
    moving = asyncio.ensure_future(pair.migrate(id, strategy="cold"))
    await pair.one.image_store.arrived("sync_out")
    pair.one.image_store.let_go("sync_out")
    records = await pair.hubs.view(MIGRATIONS)
    await pair.one.until(lambda: is_switched(records.get(MIGRATIONS, id)))
    await pair.kill(pair.one)
    moving.cancel()
    await asyncio.wait((moving,))
    await pair.two.in_state(id, "running")
    assert pair.running(id) == ["node2"]
    await pair.begin(pair.one)
    await settled(pair, id)


def is_switched(entry: Entry[migrator.MigrationRecord] | None) -> bool:
    return entry is not None and entry.value.phase == "switched"
