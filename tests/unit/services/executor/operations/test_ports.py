"""Changing the published ports of a container."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared.contracts import executor as contract
from shared.contracts import network
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.executor import ConnectRequest, DisconnectRequest, PortsReply, PortsRequest
from shared.errors import Conflict, InvalidArgument, NotFound, ShoalError
from tests.support.executor_node import Crash, Node

Bindings = dict[str, tuple[PortBinding, ...]]
WEB: Bindings = {"80/tcp": (PortBinding(host_port="8080"),)}
MORE: Bindings = {"80/tcp": (PortBinding(host_port="8081"),)}


async def change(
    node: Node, container_id: str, add: Bindings | None = None, remove: Bindings | None = None
) -> PortsReply:
    reply: PortsReply = await node.call(
        contract.PORTS, PortsRequest(id=container_id, add=add or {}, remove=remove or {})
    )
    await node.view.reached(reply.revision)
    return reply


def recorded(node: Node, container_id: str) -> Bindings:
    spec = node.spec(container_id)
    assert spec is not None
    found: Bindings = spec.host_config.port_bindings
    return found


def shown(node: Node, container_id: str) -> set[str]:
    ports = node.status(container_id).ports
    return {binding.host_port for bindings in ports.values() for binding in bindings or ()}


def live(node: Node, container_id: str) -> set[str]:
    assert node.network.stacks[container_id].ports == node.status(container_id).ports
    return shown(node, container_id)


async def test_record_and_live_ports_change_together(node: Node) -> None:
    container_id = await node.run("serve", port_bindings=WEB)
    reply = await change(node, container_id, add=MORE)
    assert reply.ports["80/tcp"] is not None
    assert len(reply.ports["80/tcp"]) == 2
    assert recorded(node, container_id)["80/tcp"] == WEB["80/tcp"] + MORE["80/tcp"]
    assert live(node, container_id) == {"8080", "8081"}
    await change(node, container_id, remove=WEB)
    assert (recorded(node, container_id), live(node, container_id)) == (MORE, {"8081"})
    asked = node.network.requests("publish")[-1]
    assert isinstance(asked, network.PublishRequest)
    assert asked.released == {"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"),)}
    assert node.actions(container_id)[-2:] == ["update", "update"]


async def test_a_stopped_container_has_them_at_its_next_start(node: Node) -> None:
    container_id = await node.create("serve")
    assert (await change(node, container_id, add=WEB)).ports == {}
    await node.begin(container_id)
    assert live(node, container_id) == {"8080"}


async def test_what_is_refused_is_not_recorded(node: Node) -> None:
    await node.run("serve", port_bindings=MORE)
    container_id = await node.run("serve", port_bindings=WEB)
    refusals: tuple[tuple[Bindings, type[ShoalError], str], ...] = (
        (MORE, Conflict, "port is already allocated"),
        ({"x/tcp": ()}, InvalidArgument, "invalid port specification"),
        ({"80/tcp": (PortBinding(host_ip="nowhere"),)}, InvalidArgument, "invalid IP address in port binding"),
    )
    for add, kind, text in refusals:
        with pytest.raises(kind, match=text):
            await change(node, container_id, add=add)
    with pytest.raises(NotFound, match="port 81/tcp is not published"):
        await change(node, container_id, remove={"81/tcp": ()})
    assert (recorded(node, container_id), live(node, container_id)) == (WEB, {"8080"})
    outside = await node.run("serve", network_mode="host")
    with pytest.raises(Conflict, match="host type network mode"):
        await change(node, outside, add=WEB)


@pytest.mark.parametrize("step", range(1, 7))
async def test_a_crash_leaves_the_record_and_the_ports_in_agreement(node: Node, step: int) -> None:
    container_id = await node.run("serve", port_bindings=WEB)
    await node.die()
    crash = Crash(1000)
    await node.boot(crash)
    crash.left = step
    task = asyncio.create_task(change(node, container_id, add=MORE, remove=WEB))
    await node.until(lambda: crash.happened.is_set() or task.done())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await node.die()
    await node.boot()
    wanted = {binding.host_port for each in recorded(node, container_id).values() for binding in each}
    assert wanted in ({"8080"}, {"8081"})
    await node.until(lambda: shown(node, container_id) == wanted)
    assert live(node, container_id) == wanted
    await change(node, container_id, add={"81/tcp": (PortBinding(host_port="9000"),)})
    assert "9000" in live(node, container_id)


async def test_networks_that_a_crash_left_half_recorded(node: Node) -> None:
    container_id = await node.run("serve")
    stack = node.network.stacks[container_id]
    await node.die()
    shown = EndpointSettings(aliases=("a",), network_id="n", ip_address="10.0.0.9")
    both = {**stack.endpoints, "web": shown}
    node.network.stacks[container_id] = msgspec.structs.replace(stack, endpoints=both)
    await node.boot()
    await node.until(lambda: "web" in node.status(container_id).networks)
    spec = node.spec(container_id)
    assert spec is not None
    assert spec.networks["web"] == EndpointSettings(aliases=("a",))
    await node.die()
    node.network.stacks[container_id] = stack
    await node.boot()
    await node.until(lambda: "web" not in node.status(container_id).networks)
    spec = node.spec(container_id)
    assert spec is not None
    assert set(spec.networks) == {"bridge"}


async def test_ports_that_move_with_a_network_are_shown(node: Node) -> None:
    container_id = await node.run("serve", port_bindings=WEB)
    moved: dict[str, tuple[PortBinding, ...] | None] = {"80/tcp": (PortBinding(host_ip="::", host_port="8080"),)}
    node.network.moved = moved
    done = await node.call(contract.CONNECT, ConnectRequest(id=container_id, network="web"))
    await node.view.reached(done.revision)
    assert node.status(container_id).ports == moved
    node.network.moved = {}
    done = await node.call(contract.DISCONNECT, DisconnectRequest(id=container_id, network="web"))
    await node.view.reached(done.revision)
    assert node.status(container_id).ports == {}
