"""Packets of IPv6: who reaches whom, and as whom."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import CREATE, IPAM, CreateRequest, IPAMConfig, Sandbox
from tests.support.network_world import (
    HOST,
    HOST6,
    NEIGHBOUR,
    NEIGHBOUR6,
    NetworkWorld,
    ask,
    assert_nobody,
    here,
    listen,
    socket_in,
)

pytestmark = pytest.mark.usefixtures("running")
SIX, TCP, UDP = socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
GATEWAY = "fd00:6::1"


async def network(world: NetworkWorld, name: str, subnet: str, **fields: object) -> None:
    ipam = IPAM(config=(IPAMConfig(subnet=subnet),))
    wanted = {"name": name, "enable_ipv6": True, "ipam": ipam, **fields}
    await world.bus.call(CREATE, CreateRequest(**wanted))  # type: ignore[arg-type]


async def sandbox(world: NetworkWorld, container: str, name: str = "six", **fields: object) -> Sandbox:
    return await world.sandbox(container, endpoints={name: EndpointSettings()}, **fields)


def six_of(made: Sandbox, name: str = "six") -> str:
    return made.endpoints[name].global_ipv6_address


@pytest.fixture
async def web(world: NetworkWorld, running: None) -> AsyncIterator[Sandbox]:
    """A server on port 80 of both families, in a sandbox that is published as 8080."""
    await network(world, "six", "fd00:6::/64")
    made = await sandbox(world, "web", publish={"80/tcp": (PortBinding(host_port="8080"),)})
    task = await listen(made.path, host="::")
    yield made
    task.cancel()


async def test_neighbours_and_the_host(world: NetworkWorld, web: Sandbox) -> None:
    other = await sandbox(world, "other")
    assert await ask(socket_in(other.path, TCP, SIX), (six_of(web), 80)) == six_of(other)
    assert await ask(here(TCP, SIX), (six_of(web), 80)) == GATEWAY


async def test_clients_from_outside_are_seen_with_their_addresses(
    world: NetworkWorld, web: Sandbox, neighbour: str
) -> None:
    assert await ask(socket_in(neighbour, TCP, SIX), (HOST6, 8080)) == NEIGHBOUR6
    assert await ask(socket_in(neighbour), (HOST, 8080)) == f"::ffff:{NEIGHBOUR}"
    await assert_nobody(socket_in(neighbour, TCP, SIX), (six_of(web), 80))


async def test_the_host_itself_reaches_the_port_at_all_its_addresses(
    world: NetworkWorld, web: Sandbox, neighbour: str
) -> None:
    for address in (HOST6, "::1", GATEWAY):
        assert await ask(here(TCP, SIX), (address, 8080)) in (GATEWAY, HOST6)


async def test_from_neighbours_and_from_the_container_itself(world: NetworkWorld, web: Sandbox, neighbour: str) -> None:
    other = await sandbox(world, "other")
    for client in (other, web):
        assert await ask(socket_in(client.path, TCP, SIX), (HOST6, 8080)) == GATEWAY


async def test_a_sandbox_reaches_outside_as_the_host(world: NetworkWorld, web: Sandbox, neighbour: str) -> None:
    task = await listen(neighbour, 90, host="::")
    assert await ask(socket_in(web.path, TCP, SIX), (NEIGHBOUR6, 90)) == HOST6
    task.cancel()


async def test_a_client_of_a_container_with_one_family_is_relayed(
    world: NetworkWorld, web: Sandbox, neighbour: str
) -> None:
    plain = await world.sandbox("plain", publish={"80/tcp": (PortBinding(host_port="8081"),)})
    only = await world.bus.call(CREATE, CreateRequest(name="only", enable_ipv4=False, enable_ipv6=True))
    assert only.id
    six = await sandbox(world, "six", "only", publish={"80/tcp": (PortBinding(host_port="8082"),)})
    tasks = [await listen(plain.path), await listen(six.path, host="::")]
    assert await ask(socket_in(neighbour, TCP, SIX), (HOST6, 8081)) == "172.17.0.1"
    assert await ask(socket_in(neighbour, TCP, SIX), (HOST6, 8082)) == NEIGHBOUR6
    await assert_nobody(socket_in(neighbour), (HOST, 8082))
    for task in tasks:
        task.cancel()


async def test_datagrams(world: NetworkWorld, web: Sandbox, neighbour: str) -> None:
    made = await sandbox(world, "dns", publish={"53/udp": (PortBinding(host_port="5353"),)})
    task = await listen(made.path, 53, UDP, "::")
    assert await ask(socket_in(neighbour, UDP, SIX), (HOST6, 5353)) == NEIGHBOUR6
    assert await ask(here(UDP, SIX), ("::1", 5353)) == GATEWAY
    task.cancel()


async def test_networks_are_isolated_and_an_internal_one_has_no_way_out_or_in(
    world: NetworkWorld, web: Sandbox, neighbour: str
) -> None:
    await network(world, "apart", "fd00:7::/64")
    await network(world, "inner", "fd00:8::/64", internal=True)
    apart, inner = await sandbox(world, "apart", "apart"), await sandbox(world, "inner", "inner")
    tasks = [await listen(inner.path, host="::"), await listen(neighbour, 90, host="::")]
    await assert_nobody(socket_in(apart.path, TCP, SIX), (six_of(web), 80))
    await assert_nobody(socket_in(inner.path, TCP, SIX), (NEIGHBOUR6, 90))
    await assert_nobody(socket_in(neighbour, TCP, SIX), (six_of(inner, "inner"), 80))
    for task in tasks:
        task.cancel()
