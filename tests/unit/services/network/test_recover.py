"""What a restart makes of what it finds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.network.adapters import namespaces
from services.network.adapters.links import HostLinks
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import CREATE, ENDPOINTS, IPAM, CreateRequest, EndpointRecord, IPAMConfig
from tests.support.network_world import NetworkWorld, address_of, ask, listen, socket_in

PORT = {"80/tcp": (PortBinding(host_port="8080"),)}


async def test_sandboxes_addresses_and_ports_go_on(world: NetworkWorld) -> None:
    async with world.running():
        made = [await world.sandbox("c1", publish=PORT), await world.sandbox("c2", mode="none")]
        rules, ends = world.rules(), await world.endpoints()
    async with world.running():
        assert await world.sandboxes() == made
        assert (world.rules(), await world.endpoints()) == (rules, ends)
        assert await world.sandbox("c1") == made[0]
        assert address_of(await world.sandbox("c3")) == "172.17.0.3"
        await world.release("c1")
        assert address_of(await world.sandbox("c4")) == "172.17.0.2"


async def test_both_families_and_stacked_interfaces_go_on(world: NetworkWorld) -> None:
    pool = IPAM(config=(IPAMConfig(subnet="fd00:6::/64"),))
    async with world.running():
        await world.bus.call(CREATE, CreateRequest(name="six", enable_ipv6=True, ipam=pool))
        lan = CreateRequest(name="lan", driver="macvlan", options={"parent": "shoal0"})
        await world.bus.call(CREATE, lan)
        ends = {"six": EndpointSettings(), "lan": EndpointSettings()}
        made = await world.sandbox("c1", endpoints=ends, publish=PORT)
        before = world.rules(), world.links()
    async with world.running():
        assert await world.sandboxes() == [made]
        assert (world.rules(), world.links()) == before
        other = await world.sandbox("c2", endpoints=ends)
        assert other.endpoints["six"].global_ipv6_address == "fd00:6::3"
        assert other.endpoints["lan"].ip_address != made.endpoints["lan"].ip_address
        await world.release("c1")
        assert "fd00:6::2" not in world.rules()


async def test_a_connection_lives_through_a_restart(world: NetworkWorld) -> None:
    async with world.running():
        made = await world.sandbox("c1", publish=PORT)
        server = socket_in(made.path)
        server.bind(("0.0.0.0", 80))
        server.listen()
        loop = asyncio.get_running_loop()
        client = socket_in(f"/proc/self/task/{_thread()}/ns/net")
        await loop.sock_connect(client, ("127.0.0.1", 8080))
        accepted, _ = await loop.sock_accept(server)
    async with world.running():
        await loop.sock_sendall(client, b"still here")
        assert await loop.sock_recv(accepted, 100) == b"still here"
    for each in (client, accepted, server):
        each.close()


def _thread() -> int:
    import threading

    return threading.get_native_id()


async def test_what_nobody_has_is_taken_away(world: NetworkWorld) -> None:
    async with world.running():
        made = await world.sandbox("c1")
        before = world.links(), world.rules(), await world.endpoints(), world.files("netns")
    folder = world.directory / "run" / "network"
    stray = namespaces.create()
    stray.pin(folder / "netns" / "0123456789ab")
    stray.close()
    (folder / "netns" / "only-a-file").touch()
    links = HostLinks()
    held = namespaces.create()
    links.add_veth("tst0123456700", "eth0", held.descriptor, 1500)
    end = EndpointRecord(id="e9", network_id="n9", container_id="x", container_name="x", node=world.bus.node)
    await world.state.create(ENDPOINTS, "n9", "e9", value=end)
    elsewhere = EndpointRecord(id="e8", network_id="n9", container_id="x", container_name="x", node="node2")
    await world.state.create(ENDPOINTS, "n9", "e8", value=elsewhere)
    async with world.running():
        assert await world.sandboxes() == [made]
        now = world.links(), world.rules(), await world.endpoints() - {"e8"}, world.files("netns")
        assert now == before
        assert "tst0123456700" not in world.links(ready=True)
        assert "e8" in await world.endpoints()
    held.close()


async def test_a_sandbox_whose_namespace_is_gone_is_forgotten(world: NetworkWorld) -> None:
    async with world.running():
        made = await world.sandbox("c1", publish=PORT)
    namespaces.unpin(Path(made.path))
    Path(made.path).touch()  # what a reboot leaves where run_dir is on a disk
    async with world.running():
        assert await world.sandboxes() == []
        assert await world.endpoints() == set()
        assert "8080" not in world.rules()
        assert address_of(await world.sandbox("c1", publish=PORT)) == "172.17.0.2"


async def test_an_endpoint_that_was_not_told_is_told(world: NetworkWorld) -> None:
    async with world.running():
        made = await world.sandbox("c1")
        end = made.endpoints["bridge"]
    await world.state.delete(ENDPOINTS, end.network_id, end.endpoint_id)
    async with world.running():
        assert await world.endpoints() == {end.endpoint_id}


async def test_traffic_flows_after_a_restart(world: NetworkWorld) -> None:
    async with world.running():
        made = await world.sandbox("c1", publish=PORT)
    async with world.running():
        server = await listen(made.path)
        assert await ask(socket_in(f"/proc/self/task/{_thread()}/ns/net"), ("127.0.0.1", 8080)) == "172.17.0.1"
        server.cancel()
