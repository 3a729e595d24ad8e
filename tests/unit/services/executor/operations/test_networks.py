from __future__ import annotations

import pytest

from shared.contracts import executor as contract
from shared.contracts.container import EndpointSettings
from shared.contracts.executor import ConnectRequest, DisconnectRequest
from shared.errors import InvalidArgument, NotFound, PermissionDenied
from tests.support.executor_node import Node


async def connect(node: Node, container_id: str, network: str = "web") -> None:
    wish = EndpointSettings(aliases=("db",))
    done = await node.call(contract.CONNECT, ConnectRequest(id=container_id, network=network, settings=wish))
    await node.view.reached(done.revision)


async def disconnect(node: Node, container_id: str, network: str = "web", force: bool = False) -> None:
    done = await node.call(contract.DISCONNECT, DisconnectRequest(id=container_id, network=network, force=force))
    await node.view.reached(done.revision)


def networks(node: Node, container_id: str) -> tuple[set[str], set[str]]:
    spec, status = node.spec(container_id), node.status(container_id)
    assert spec is not None
    assert status is not None
    return set(spec.networks), set(status.networks)


async def test_a_running_container_comes_and_leaves(node: Node) -> None:
    container_id = await node.run("sleep")
    await connect(node, container_id)
    assert networks(node, container_id) == ({"bridge", "web"}, {"bridge", "web"})
    status = node.status(container_id)
    assert status is not None
    assert status.networks["web"].ip_address == "172.17.0.99"
    await disconnect(node, container_id)
    assert networks(node, container_id) == ({"bridge"}, {"bridge"})


async def test_a_stopped_one_is_connected_at_its_start(node: Node) -> None:
    container_id = await node.create("sleep")
    await connect(node, container_id)
    assert networks(node, container_id) == ({"bridge", "web"}, set())
    await node.begin(container_id)
    assert networks(node, container_id)[1] == {"bridge", "web"}


async def test_it_can_be_there_only_once(node: Node) -> None:
    container_id = await node.run("sleep", name="box")
    with pytest.raises(PermissionDenied, match="endpoint with name box already exists in network bridge"):
        await connect(node, container_id, "bridge")


@pytest.mark.parametrize("running", [True, False])
async def test_one_without_a_stack_of_its_own_is_connected_to_nothing(node: Node, running: bool) -> None:
    donor = await node.run("sleep")
    for mode in ("host", f"container:{donor}"):
        container_id = await node.create("sleep", network_mode=mode)
        if running:
            await node.begin(container_id)
        with pytest.raises(InvalidArgument, match="sharing network namespace with another container or host"):
            await connect(node, container_id)


async def test_what_cannot_be_left(node: Node) -> None:
    container_id = await node.run("sleep")
    with pytest.raises(NotFound, match="network nope not found"):
        await disconnect(node, container_id, "nope")
    with pytest.raises(NotFound, match="is not connected to network web"):
        await disconnect(node, container_id, "web", force=True)
