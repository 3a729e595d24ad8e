from __future__ import annotations

import asyncio

import pytest

from shared.contracts import executor as contract
from shared.contracts.container import MountRequest
from shared.contracts.executor import RemoveRequest
from shared.errors import Conflict, NotFound, Unavailable
from tests.support.executor_node import Node


async def test_everything_goes(node: Node) -> None:
    container_id = await node.run("sleep", binds=("v:/v",), name="web")
    await node.stop(container_id)
    await node.remove(container_id)
    assert node.spec(container_id) is None
    await node.gone(container_id)
    assert set(node.volume.volumes) == {"v"}
    again = await node.create("sleep", name="web")
    assert again != container_id


async def test_what_never_ran(node: Node) -> None:
    container_id = await node.create("sleep")
    await node.remove(container_id)
    await node.gone(container_id)
    with pytest.raises(NotFound):
        await node.remove(container_id)


async def test_a_running_container_needs_force(node: Node) -> None:
    container_id = await node.run("sleep", name="web")
    with pytest.raises(Conflict) as caught:
        await node.remove(container_id, reference="web")
    assert caught.value.message == (
        'cannot remove container "web": container is running: stop the container before removing or force remove'
    )
    await node.remove(container_id, force=True)
    await node.gone(container_id)
    assert node.actions(container_id) == ["create", "start", "kill", "die", "destroy"]


async def test_force_on_what_removes_itself(node: Node) -> None:
    container_id = await node.run("sleep", auto_remove=True)
    await node.remove(container_id, force=True)
    await node.gone(container_id)
    assert node.actions(container_id).count("destroy") == 1


async def test_two_removals_at_once(node: Node) -> None:
    container_id = await node.run("deaf")
    node.platform.hold("signal")
    first = asyncio.get_running_loop().create_task(node.remove(container_id, force=True))
    await node.platform.arrived("signal")
    with pytest.raises(Conflict, match=f"removal of container {container_id[:12]} is already in progress"):
        await node.remove(container_id, force=True, reference=container_id[:12])
    with pytest.raises(Conflict):
        await node.call(contract.REMOVE, RemoveRequest(id=container_id, link=True))
    node.platform.let_go("signal")
    await first
    await node.gone(container_id)


async def test_a_failed_force_leaves_it_removable(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.fail["signal"].append(Unavailable("away"))
    with pytest.raises(Unavailable, match="could not kill container: away"):
        await node.remove(container_id, force=True)
    await node.remove(container_id, force=True)
    await node.gone(container_id)


async def test_anonymous_volumes_go_when_asked_and_unused(node: Node) -> None:
    mounts = (MountRequest(source="named", target="/n"), MountRequest(target="/a"))
    container_id = await node.create("true", mounts=mounts, image="redis")
    assert len(node.volume.volumes) == 3
    borrower = await node.create("true", volumes_from=(container_id,))
    await node.remove(container_id, volumes=True)
    assert len(node.volume.volumes) == 3
    await node.remove(borrower, volumes=True)
    assert set(node.volume.volumes) == {"named"}


async def test_anonymous_volumes_stay_when_not_asked_for(node: Node) -> None:
    container_id = await node.create(image="redis")
    await node.remove(container_id)
    await node.gone(container_id)
    assert len(node.volume.volumes) == 1


async def test_neighbours_that_are_away_do_not_hold_it_up(node: Node) -> None:
    container_id = await node.create("sleep")
    node.image_store.hold("release")
    node.network.fail["release"].append(Unavailable("away"))
    await node.remove(container_id)
    assert node.spec(container_id) is None
    assert container_id in node.image_store.snapshots
    node.image_store.let_go("release")
    await node.gone(container_id)


async def test_nobody_starts_what_is_being_removed(node: Node) -> None:
    container_id = await node.create("sleep", image="redis")
    node.volume.hold("unmount")
    removing = asyncio.get_running_loop().create_task(node.remove(container_id, volumes=True))
    await node.volume.arrived("unmount")
    starting = asyncio.get_running_loop().create_task(node.begin(container_id))
    await node.in_state(container_id, "removing")
    node.volume.let_go("unmount")
    await removing
    with pytest.raises(Conflict, match="marked for removal"):
        await starting
    await node.gone(container_id)
