from __future__ import annotations

from shared.contracts import executor as contract
from shared.contracts.base import Empty
from shared.contracts.executor import PruneRequest
from tests.support.executor_node import Node


async def test_usage(node: Node) -> None:
    container_id = await node.create("true")
    (entry,) = (await node.call(contract.USAGE, Empty())).entries
    assert (entry.id, entry.rw_bytes, entry.rootfs_bytes) == (container_id, 10, 1010)


async def test_prune_leaves_what_runs(node: Node) -> None:
    stopped, running = await node.create("true"), await node.run("sleep")
    report = await node.call(contract.PRUNE, PruneRequest(ids=(stopped, running, "fish")))
    assert (report.removed, report.bytes_freed) == ((stopped,), 10)
    await node.gone(stopped)
    assert node.status(running).state == "running"
    assert (await node.call(contract.PRUNE, PruneRequest())).removed == ()
    await node.until(lambda: len([event for event in node.events if event.action == "prune"]) == 2)
    assert [event.attributes for event in node.events if event.action == "prune"] == [
        {"reclaimed": "10"},
        {"reclaimed": "0"},
    ]
