"""A container comes to this host: its place, and whose it is."""

from __future__ import annotations

import asyncio

import pytest

from shared.contracts import moving
from shared.contracts.base import Empty
from shared.contracts.container import (
    ContainerConfig,
    ContainerSpec,
    ContainerStatus,
    EndpointSettings,
    HostConfig,
    MountPoint,
    RestartPolicy,
)
from shared.contracts.executor import SPECS
from shared.contracts.volume import VolumeSpec
from shared.errors import AlreadyExists, Conflict, NotFound, ResourceExhausted
from tests.support.executor_node import Node
from tests.support.simulators.host.image_store import BUSYBOX

ID = "a" * 64
REF = moving.MoveRef(id=ID, migration="m")
SPEC = ContainerSpec(
    id=ID,
    name="web",
    created=1,
    config=ContainerConfig(image="busybox", cmd=("sleep",)),
    host_config=HostConfig(restart_policy=RestartPolicy(name="always")),
    networks={"bridge": EndpointSettings()},
    image_id=BUSYBOX.id,
    path="sleep",
    mounts=(MountPoint(type="volume", destination="/data", name="data", source="/elsewhere", driver="local"),),
)
HELD = moving.Held(spec=SPEC, status=ContainerStatus(state="exited", runs=3, restart_count=1, exit_code=137), ran=True)


async def receive(node: Node, migration: str = "m") -> None:
    request = moving.ReceiveRequest(id=ID, migration=migration, spec=SPEC, volumes=(VolumeSpec(name="data"),))
    await node.call(moving.RECEIVE, request)


async def take_over(node: Node, held: moving.Held = HELD) -> None:
    request = moving.TakeOverRequest(id=ID, migration="m", held=held, source="node0", source_name="zero")
    await node.call(moving.TAKE_OVER, request)
    await node.call(moving.TAKEN, REF)


def nothing(node: Node) -> bool:
    return not (node.leftovers() or node.volume.volumes or node.image_store.snapshots)


async def test_it_is_nobodys_until_it_is_taken_over(node: Node) -> None:
    await receive(node)
    assert node.view.get(SPECS, ID) is None
    assert set(node.volume.volumes) == {"data"}
    for _ in range(2):
        await take_over(node)
    await node.in_state(ID, "running")
    spec, status = node.spec(ID), node.status(ID)
    assert spec is not None
    assert spec.mounts[0].source == "/volumes/data/_data"
    assert (status.runs, status.restart_count) == (4, 1)
    assert node.actions(ID) == ["migrate", "start"]
    assert (await node.call(moving.MOVES, Empty())).moves == ()
    with pytest.raises(Conflict, match="taken over"):
        await node.call(moving.ABANDON, REF)


async def test_a_volume_that_is_just_being_made_goes_with_what_failed_beside_it(node: Node) -> None:
    node.volume.hold("create")
    node.image_store.fail["prepare"].append(NotFound("No such image"))
    receiving = asyncio.ensure_future(receive(node))
    await node.volume.arrived("create")
    await node.until(lambda: node.image_store.count("prepare") == 1)
    for _ in range(500):  # turns in which the other's failure is known
        await asyncio.sleep(0)
    node.volume.let_go("create")
    with pytest.raises(NotFound):
        await receiving
    for _ in range(500):
        await asyncio.sleep(0)
    assert nothing(node)


async def test_an_abandoned_one_leaves_nothing_and_cannot_be_taken_over(node: Node) -> None:
    await receive(node)
    for _ in range(2):
        await node.call(moving.ABANDON, REF)
    await node.until(lambda: nothing(node))
    with pytest.raises(NotFound, match="nothing here"):
        await take_over(node)


async def test_what_could_not_be_recorded_is_recorded_when_it_is_taken_over_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next executor would not know of it, and the source has given it up."""
    await receive(node)
    records = node.executor._engine.records
    create = records.create

    async def full(spec: ContainerSpec) -> int:
        monkeypatch.setattr(records, "create", create)
        raise ResourceExhausted("no space left")

    monkeypatch.setattr(records, "create", full)
    with pytest.raises(ResourceExhausted):
        await take_over(node)
    await take_over(node)
    await node.in_state(ID, "running")
    assert node.view.get(SPECS, ID) is not None
    assert node.actions(ID) == ["migrate", "start"]


async def test_a_crash_keeps_the_place(node: Node) -> None:
    await receive(node)
    await node.die()
    node.clustered = True
    await node.boot()
    (move,) = (await node.call(moving.MOVES, Empty())).moves
    assert (move.role, move.migration) == ("incoming", "m")
    await take_over(node)
    await node.in_state(ID, "running")


@pytest.mark.parametrize("taken_over", [False, True])
async def test_a_host_that_was_removed_forsakes_what_it_was_not_told_to_be_its_own(
    node: Node, taken_over: bool
) -> None:
    """Its source, to which it has not confirmed that it has it, lets it go on."""
    await receive(node)
    if taken_over:
        await node.call(moving.TAKE_OVER, moving.TakeOverRequest(id=ID, migration="m", held=HELD, source="node0"))
    await node.die()
    await node.boot()
    await node.until(lambda: nothing(node))
    assert node.executor._engine.registry.find(ID) is None


async def test_and_keeps_what_is_its_own(node: Node) -> None:
    await receive(node)
    await take_over(node)
    await node.in_state(ID, "running")
    await node.die()
    await node.boot()
    await node.call(moving.MOVES, Empty())
    assert node.status(ID).state == "running"
    assert node.executor._engine.registry.find(ID) is not None


async def test_another_migration_gets_a_place_of_its_own(node: Node) -> None:
    await receive(node)
    await receive(node, "n")
    await node.call(moving.ABANDON, REF)  # of the one before
    (move,) = (await node.call(moving.MOVES, Empty())).moves
    assert move.migration == "n"


async def test_a_volume_that_is_here_already_stays_as_it_is(node: Node) -> None:
    node.volume.volumes["data"] = VolumeSpec(name="data", labels={"mine": ""})
    with pytest.raises(AlreadyExists, match="volume data on this host already"):
        await receive(node)
    assert node.volume.volumes["data"].labels == {"mine": ""}
    assert not node.leftovers()


async def test_a_failure_takes_everything_back(node: Node) -> None:
    node.image_store.fail["prepare"] = [NotFound("No such image")]
    with pytest.raises(NotFound, match="No such image"):
        await receive(node)
    await node.until(lambda: nothing(node))


async def test_what_is_here_is_not_received(node: Node) -> None:
    await receive(node)
    await take_over(node)
    with pytest.raises(Conflict, match="is here already"):
        await receive(node, "n")


async def test_a_name_does_not_come_back_when_it_is_removed_meanwhile(node: Node) -> None:
    await receive(node)
    await take_over(node)
    await node.in_state(ID, "running")
    container = node.executor._engine.registry.get(ID)
    async with container.lock:
        again = asyncio.ensure_future(node.call(moving.TAKEN, REF))
        await node.until(lambda: bool(container.lock._waiters))
        node.executor._engine.registry.discard(container)
    with pytest.raises(NotFound, match="No such container"):
        await again
    node.executor._engine.registry.add(container)
