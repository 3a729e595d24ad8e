"""How the host stands between a network and others: gateway modes, isolation, trusted interfaces, macvlan."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator

import pytest

from services.network.adapters import rtnetlink
from services.network.adapters.netlink import Netlink
from services.network.domain import options
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import CREATE, IPAM, CreateRequest, IPAMConfig, Sandbox
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
PORT = {"80/tcp": (PortBinding(host_port="8080"),)}


@contextlib.asynccontextmanager
async def web(world: NetworkWorld, opts: dict[str, str], **fields: object) -> AsyncIterator[Sandbox]:
    """A server on port 80, published, on a network with these options."""
    wanted = {"name": "web", "options": opts, **fields}
    await world.bus.call(CREATE, CreateRequest(**wanted))  # type: ignore[arg-type]
    made = await world.sandbox("web", endpoints={"web": EndpointSettings()}, publish=PORT)
    tasks = [await listen(made.path), await listen(made.path, 81)]
    yield made
    for task in tasks:
        task.cancel()


async def test_a_routed_network_is_reached_under_its_own_addresses_at_its_ports(
    world: NetworkWorld, neighbour: str
) -> None:
    async with web(world, {options.GATEWAY_MODE[4]: "routed"}) as made:
        own = address_of(made, "web")
        direct, relayed = PortBinding(host_ip="0.0.0.0"), PortBinding(host_ip="::", host_port="8080")
        assert set(made.ports["80/tcp"] or ()) == {direct, relayed}
        assert await ask(socket_in(neighbour), (own, 80)) == NEIGHBOUR
        await assert_nobody(socket_in(neighbour), (own, 81))
        await assert_nobody(socket_in(neighbour), (HOST, 8080))
        task = await listen(neighbour, 90)
        assert await ask(socket_in(made.path), (NEIGHBOUR, 90)) == own
        task.cancel()


async def test_an_unprotected_network_is_reached_at_all_its_ports(world: NetworkWorld, neighbour: str) -> None:
    async with web(world, {options.GATEWAY_MODE[4]: "nat-unprotected"}) as made:
        assert await ask(socket_in(neighbour), (address_of(made, "web"), 81)) == NEIGHBOUR
        assert await ask(socket_in(neighbour), (HOST, 8080)) == NEIGHBOUR


async def test_a_trusted_interface_reaches_containers_directly(world: NetworkWorld, neighbour: str) -> None:
    async with web(world, {options.TRUSTED: "lan0"}) as made:
        assert await ask(socket_in(neighbour), (address_of(made, "web"), 81)) == NEIGHBOUR


async def test_an_isolated_network_is_without_the_host(world: NetworkWorld, neighbour: str) -> None:
    async with web(world, {options.GATEWAY_MODE[4]: "isolated"}, internal=True) as made:
        other = await world.sandbox("other", endpoints={"web": EndpointSettings()})
        assert await ask(socket_in(other.path), (address_of(made, "web"), 80)) == address_of(other, "web")
        await assert_nobody(here(), (address_of(made, "web"), 80))
        assert made.endpoints["web"].gateway == ""


async def test_containers_of_a_network_may_be_apart(world: NetworkWorld) -> None:
    async with web(world, {options.ICC: "false"}) as made:
        other = await world.sandbox("other", endpoints={"web": EndpointSettings()})
        await assert_nobody(socket_in(other.path), (address_of(made, "web"), 80))
        assert await ask(here(), (address_of(made, "web"), 80)) == made.endpoints["web"].gateway
        gateway = made.endpoints["web"].gateway
        assert await ask(socket_in(other.path), (gateway, 8080)) == gateway


async def test_without_masquerading_containers_are_seen_as_they_are(world: NetworkWorld, neighbour: str) -> None:
    task = await listen(neighbour, 90)
    async with web(world, {options.MASQUERADE: "false"}) as made:
        assert await ask(socket_in(made.path), (NEIGHBOUR, 90)) == address_of(made, "web")
    task.cancel()


async def test_a_network_leaves_the_host_under_an_address_of_its_own(world: NetworkWorld, neighbour: str) -> None:
    netlink = Netlink()
    link = netlink.link("lan0")
    assert link is not None
    netlink.request(rtnetlink.new_address(link.index, ipaddress.ip_interface("192.0.2.77/24")))
    netlink.close()
    task = await listen(neighbour, 90)
    async with web(world, {options.HOST_ADDRESS[4]: "192.0.2.77"}) as made:
        assert await ask(socket_in(made.path), (NEIGHBOUR, 90)) == "192.0.2.77"
    task.cancel()


async def test_ports_are_published_at_the_networks_address(world: NetworkWorld, neighbour: str) -> None:
    async with web(world, {options.HOST_BINDING: HOST}) as made:
        assert made.ports["80/tcp"] == (PortBinding(host_ip=HOST, host_port="8080"),)
        assert await ask(socket_in(neighbour), (HOST, 8080)) == NEIGHBOUR
        with pytest.raises(ConnectionRefusedError):
            await ask(here(), ("127.0.0.1", 8080))


async def test_containers_beside_the_host_in_its_own_network(world: NetworkWorld, neighbour: str) -> None:
    """On `lan0` itself they are machines like others: the neighbour sees their own addresses, and no host between."""
    lan = IPAM(config=(IPAMConfig(subnet="192.0.2.0/24", gateway=HOST, ip_range="192.0.2.64/26"),))
    wanted = CreateRequest(name="lan", driver="macvlan", options={"parent": "lan0"}, ipam=lan)
    await world.bus.call(CREATE, wanted)
    one, two = [await world.sandbox(name, endpoints={"lan": EndpointSettings()}) for name in ("one", "two")]
    assert [address_of(each, "lan") for each in (one, two)] == ["192.0.2.64", "192.0.2.65"]
    tasks = [await listen(one.path), await listen(neighbour, 90)]
    assert await ask(socket_in(two.path), ("192.0.2.64", 80)) == "192.0.2.65"
    assert await ask(socket_in(neighbour), ("192.0.2.64", 80)) == NEIGHBOUR
    assert await ask(socket_in(one.path), (NEIGHBOUR, 90)) == "192.0.2.64"
    await assert_nobody(here(), ("192.0.2.64", 80))
    await world.release("one")
    await assert_nobody(socket_in(two.path), ("192.0.2.64", 80))
    for task in tasks:
        task.cancel()


async def test_a_network_without_parent_is_its_containers_only(world: NetworkWorld) -> None:
    await world.bus.call(CREATE, CreateRequest(name="alone", driver="macvlan"))
    one, two = [await world.sandbox(name, endpoints={"alone": EndpointSettings()}) for name in ("one", "two")]
    task = await listen(one.path)
    assert await ask(socket_in(two.path), (address_of(one, "alone"), 80)) == address_of(two, "alone")
    await assert_nobody(here(), (address_of(one, "alone"), 80))
    task.cancel()


async def test_containers_of_a_network_reach_another_only_where_its_port_is_published(world: NetworkWorld) -> None:
    async with web(world, {}) as made:
        other = await world.sandbox("other")
        await assert_nobody(socket_in(other.path), (address_of(made, "web"), 80))
        assert await ask(socket_in(other.path), ("172.17.0.1", 8080)) == address_of(other)
