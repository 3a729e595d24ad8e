"""The life of containers, as clients of the bus see it."""

from __future__ import annotations

from shared.contracts import executor as contract
from tests.support.executor_node import Node


async def test_run_to_the_end(node: Node) -> None:
    container_id = await node.run("true", name="web")
    await node.in_state(container_id, "exited")
    assert node.status(container_id).exit_code == 0
    assert node.status(container_id).runs == 1
    await node.remove(container_id)
    await node.gone(container_id)
    await node.until(lambda: node.actions(container_id) == ["create", "start", "die", "destroy"])


async def test_it_makes_way_for_another_only_while_nothing_runs(node: Node) -> None:
    container_id = await node.run("sleep")
    assert not node.executor.at_rest()
    await node.stop(container_id)
    await node.in_state(container_id, "exited")
    assert node.executor.at_rest()


async def test_auto_remove(node: Node) -> None:
    container_id = await node.run("exit", "7", auto_remove=True)
    await node.gone(container_id)
    await node.until(lambda: "destroy" in node.actions(container_id))
    assert node.actions(container_id) == ["create", "start", "die", "destroy"]


async def test_attach_and_logs(node: Node) -> None:
    container_id = await node.create("sleep")
    offer = await node.call(contract.ATTACH, contract.AttachRequest(id=container_id, stream=True, stdout=True))
    assert offer.ticket
    await node.begin(container_id)
    assert (await node.call(contract.LOGS, contract.LogsRequest(id=container_id))).path
