from __future__ import annotations

import pytest

from shared.contracts import executor as contract
from shared.contracts.common import Ref
from shared.errors import Conflict, Internal
from tests.support.executor_node import Node


async def test_pause_and_unpause(node: Node) -> None:
    container_id = await node.run("sleep")
    ref = Ref(id=container_id)
    await node.call(contract.PAUSE, ref)
    await node.in_state(container_id, "paused")
    assert node.platform.machines[container_id].state == "paused"
    with pytest.raises(Conflict, match="is already paused"):
        await node.call(contract.PAUSE, ref)
    await node.call(contract.UNPAUSE, ref)
    await node.in_state(container_id, "running")
    with pytest.raises(Conflict, match="is not paused"):
        await node.call(contract.UNPAUSE, ref)
    await node.until(lambda: node.actions(container_id) == ["create", "start", "pause", "unpause"])


async def test_a_host_that_cannot(node: Node) -> None:
    container_id = await node.run("sleep")
    node.platform.fail["pause"].append(Internal("no freezer"))
    with pytest.raises(Internal, match=f"cannot pause container {container_id}: no freezer"):
        await node.call(contract.PAUSE, Ref(id=container_id))
    assert node.status(container_id).state == "running"
    await node.call(contract.PAUSE, Ref(id=container_id))
    node.platform.fail["unpause"].append(Internal("no freezer"))
    with pytest.raises(Internal, match=f"Cannot unpause container {container_id}: no freezer"):
        await node.call(contract.UNPAUSE, Ref(id=container_id))


async def test_a_paused_container_ends_too(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.call(contract.PAUSE, Ref(id=container_id))
    node.platform.end(container_id, 137)
    await node.in_state(container_id, "exited")
    assert node.status(container_id).exit_code == 137
