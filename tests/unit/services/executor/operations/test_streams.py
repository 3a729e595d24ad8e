from __future__ import annotations

import pytest

from shared.contracts import executor as contract
from shared.contracts.common import Ref
from shared.contracts.container import LogConfig
from shared.contracts.executor import AttachRequest, LogsRequest, TopRequest
from shared.errors import Conflict, InvalidArgument, NotFound, NotImplementedYet
from tests.support.executor_node import Node


async def test_attach_before_the_start(node: Node) -> None:
    container_id = await node.create("sleep", config={"tty": True})
    request = AttachRequest(id=container_id, stream=True, stdout=True)
    offer = await node.call(contract.ATTACH, request)
    assert offer.ticket
    assert not offer.framed
    assert node.platform.requests("attach") == [request]
    await node.until(lambda: node.actions(container_id) == ["create", "attach"])


async def test_attach_where_it_cannot_be(node: Node) -> None:
    container_id = await node.run("sleep", name="web")
    assert (await node.call(contract.ATTACH, AttachRequest(id=container_id))).framed
    await node.call(contract.PAUSE, Ref(id=container_id))
    with pytest.raises(Conflict, match="container web is paused, unpause the container before attach"):
        await node.call(contract.ATTACH, AttachRequest(id=container_id))
    with pytest.raises(NotFound):
        await node.call(contract.ATTACH, AttachRequest(id="fish"))


async def test_logs(node: Node) -> None:
    container_id = await node.run("true")
    assert (await node.call(contract.LOGS, LogsRequest(id=container_id, tail=5))).ticket
    with pytest.raises(InvalidArgument, match="You must choose at least one stream"):
        await node.call(contract.LOGS, LogsRequest(id=container_id, stdout=False, stderr=False))
    silent = await node.create("true", log_config=LogConfig(type="none"))
    with pytest.raises(NotImplementedYet, match="configured logging driver does not support reading"):
        await node.call(contract.LOGS, LogsRequest(id=silent))


async def test_top(node: Node) -> None:
    container_id = await node.create("sleep")
    with pytest.raises(Conflict, match="is not running"):
        await node.call(contract.TOP, TopRequest(id=container_id))
    await node.begin(container_id)
    assert (await node.call(contract.TOP, TopRequest(id=container_id))).titles == ("PID", "CMD")
    await node.until(lambda: node.actions(container_id)[-1] == "top")


async def test_clients_that_left(node: Node) -> None:
    container_id = await node.run("sleep")
    await node.call(contract.DETACHED, contract.DetachedRequest(id=container_id))
    await node.call(contract.DETACHED, contract.DetachedRequest(id=container_id, exec_id="e1"))
    await node.until(lambda: node.actions(container_id)[-2:] == ["detach", "exec_detach"])
    assert node.events[-1].attributes["execID"] == "e1"
    await node.stop(container_id)
    await node.call(contract.DETACHED, contract.DetachedRequest(id=container_id))
    assert node.actions(container_id).count("detach") == 1
