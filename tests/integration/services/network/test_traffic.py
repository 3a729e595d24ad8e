"""Packets: who reaches whom, and as whom."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.network.adapters import namespaces, rtnetlink
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import CREATE, CreateRequest
from tests.support.network_world import (
    HOST,
    NEIGHBOUR,
    NetworkWorld,
    address_of,
    ask,
    assert_nobody,
    here,
    listen,
    socket_in,
)

pytestmark = pytest.mark.usefixtures("running")
UDP = socket.SOCK_DGRAM


def publish(
    number: int = 80, protocol: str = "tcp", host: str = "", port: str = "8080"
) -> dict[str, tuple[PortBinding, ...]]:
    return {f"{number}/{protocol}": (PortBinding(host_ip=host, host_port=port),)}


@pytest.fixture
async def web(running: None, world: NetworkWorld) -> AsyncIterator[str]:
    """Address of a server on port 80 of a sandbox that is published as 8080."""
    made = await world.sandbox("web", publish=publish())
    task = await listen(made.path)
    yield address_of(made)
    task.cancel()


async def test_neighbours_on_a_bridge_see_each_other(world: NetworkWorld, web: str) -> None:
    other = await world.sandbox("other")
    assert await ask(socket_in(other.path), (web, 80)) == address_of(other)


async def test_the_host_reaches_a_sandbox_and_its_published_port(world: NetworkWorld, web: str) -> None:
    assert await ask(here(), (web, 80)) == "172.17.0.1"
    assert await ask(here(), ("127.0.0.1", 8080)) == "172.17.0.1"
    assert await ask(here(), ("172.17.0.1", 8080)) == "172.17.0.1"


async def test_a_client_from_outside_is_seen_with_its_address(world: NetworkWorld, web: str, neighbour: str) -> None:
    assert await ask(socket_in(neighbour), (HOST, 8080)) == NEIGHBOUR


async def test_what_is_not_published_is_not_reached_from_outside(world: NetworkWorld, web: str, neighbour: str) -> None:
    await assert_nobody(socket_in(neighbour), (web, 80))
    await assert_nobody(socket_in(neighbour), (HOST, 80))


async def test_a_port_of_the_hosts_loopback_is_not_reached_from_outside(world: NetworkWorld, neighbour: str) -> None:
    made = await world.sandbox("local", publish=publish(host="127.0.0.1", port="8081"))
    task = await listen(made.path)
    assert await ask(here(), ("127.0.0.1", 8081)) == "172.17.0.1"
    await assert_nobody(socket_in(neighbour), (HOST, 8081))
    await assert_nobody(socket_in(neighbour), ("127.0.0.1", 8081))
    task.cancel()


async def test_a_sandbox_reaches_outside_as_the_host(world: NetworkWorld, neighbour: str) -> None:
    made = await world.sandbox("client")
    task = await listen(neighbour, 90)
    assert await ask(socket_in(made.path), (NEIGHBOUR, 90)) == HOST
    task.cancel()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, UDP])
async def test_the_host_reaches_itself_at_its_address_on_a_bridge_as_that_address(
    world: NetworkWorld, kind: socket.SocketKind
) -> None:
    await world.bus.call(CREATE, CreateRequest(name="other"))
    made = await world.sandbox("client", endpoints={"other": EndpointSettings()})
    gateway = made.endpoints["other"].gateway
    task = await listen("/proc/self/ns/net", 91, kind)  # as a DNS server for containers on the host is
    assert await ask(here(kind), (gateway, 91)) == gateway
    task.cancel()


async def test_published_ports_work_from_neighbours_and_from_the_container_itself(
    world: NetworkWorld, web: str, neighbour: str
) -> None:
    other = await world.sandbox("other")
    mine = next(sandbox for sandbox in await world.sandboxes() if sandbox.container_id == "web")
    assert await ask(socket_in(other.path), (HOST, 8080)) == "172.17.0.1"
    assert await ask(socket_in(mine.path), (HOST, 8080)) == "172.17.0.1"


async def test_ipv6_clients_are_relayed(world: NetworkWorld, web: str) -> None:
    assert await ask(here(family=socket.AF_INET6), ("::1", 8080)) == "172.17.0.1"


async def test_datagrams(world: NetworkWorld, neighbour: str) -> None:
    made = await world.sandbox("dns", publish=publish(53, "udp", port="5353"))
    task = await listen(made.path, 53, UDP)
    assert await ask(socket_in(neighbour, UDP), (HOST, 5353)) == NEIGHBOUR
    assert await ask(here(UDP), ("127.0.0.1", 5353)) == "172.17.0.1"
    assert await ask(here(UDP, socket.AF_INET6), ("::1", 5353)) == "172.17.0.1"
    task.cancel()


async def test_a_container_never_reaches_the_hosts_loopback(world: NetworkWorld) -> None:
    made = await world.sandbox("evil")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 9999))
        server.listen()
        namespace = namespaces.enter(Path(made.path))
        link = namespace.netlink.link("eth0")
        assert link is not None
        route = rtnetlink.default_route(ipaddress.ip_address("172.17.0.1"), link.index)
        loopback = rtnetlink.delete_address(rtnetlink.LOOPBACK, ipaddress.ip_interface("127.0.0.1/8"))
        namespace.netlink.request(loopback, route)
        namespace.close()
        await assert_nobody(socket_in(made.path), ("127.0.0.1", 9999))


async def test_networks_are_isolated_but_for_published_ports(world: NetworkWorld, web: str, neighbour: str) -> None:
    await world.bus.call(CREATE, CreateRequest(name="apart"))
    other = await world.sandbox("other", endpoints={"apart": EndpointSettings()})
    await assert_nobody(socket_in(other.path), (web, 80))
    assert await ask(socket_in(other.path), (HOST, 8080)) == address_of(other, "apart")
    both = await world.sandbox("both", endpoints={"bridge": EndpointSettings(), "apart": EndpointSettings()})
    assert await ask(socket_in(both.path), (web, 80)) == address_of(both)


async def test_an_internal_network_has_no_way_out_or_in(world: NetworkWorld, neighbour: str) -> None:
    await world.bus.call(CREATE, CreateRequest(name="inner", internal=True))
    one, two = [await world.sandbox(name, endpoints={"inner": EndpointSettings()}) for name in ("one", "two")]
    tasks = [await listen(one.path), await listen(neighbour, 90)]
    assert await ask(socket_in(two.path), (address_of(one, "inner"), 80)) == address_of(two, "inner")
    await assert_nobody(socket_in(two.path), (NEIGHBOUR, 90))
    await assert_nobody(socket_in(neighbour), (address_of(one, "inner"), 80))
    for task in tasks:
        task.cancel()


async def test_a_released_address_answers_no_more_and_its_heir_at_once(world: NetworkWorld, web: str) -> None:
    client = await world.sandbox("client")
    assert await ask(socket_in(client.path), (web, 80)) == address_of(client)
    await world.release("web")
    await assert_nobody(socket_in(client.path), (web, 80))
    heir = await world.sandbox("heir")
    assert address_of(heir) == web
    task = await listen(heir.path)
    assert await ask(socket_in(client.path), (web, 80)) == address_of(client)
    assert await ask(here(), (web, 80)) == "172.17.0.1"
    task.cancel()


async def test_a_released_port_is_refused_and_can_be_used_by_others(world: NetworkWorld, web: str) -> None:
    await world.release("web")
    await assert_nobody(here(), ("127.0.0.1", 8080))
    server = here()
    server.bind(("127.0.0.1", 8080))
    server.listen()
    server.setblocking(False)
    loop = asyncio.get_running_loop()
    answer = asyncio.create_task(ask(here(), ("127.0.0.1", 8080)))
    accepted, _ = await loop.sock_accept(server)
    with server, accepted:
        await loop.sock_sendall(accepted, b"mine")
        assert await answer == "mine"
