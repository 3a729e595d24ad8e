"""Running containers that come to a network or leave it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.network.adapters import namespaces
from shared.contracts.container import EndpointIPAMConfig, EndpointSettings, PortBinding
from shared.contracts.network import (
    CONNECT,
    CREATE,
    DISCONNECT,
    REMOVE,
    ConnectRequest,
    CreateRequest,
    DisconnectRequest,
    InspectRequest,
    Sandbox,
)
from shared.errors import Conflict, PermissionDenied
from tests.support.network_world import NetworkWorld, address_of, ask, listen, socket_in

PORT = {"80/tcp": (PortBinding(host_port="8080"),)}


async def connect(world: NetworkWorld, container: str, name: str, settings: EndpointSettings | None = None) -> Sandbox:
    wanted = ConnectRequest(
        network=name,
        container_id=container,
        container_name=f"name-{container}",
        running=True,
        settings=settings or EndpointSettings(),
    )
    await world.bus.call(CONNECT, wanted)
    return await sandbox_of(world, container)


async def disconnect(world: NetworkWorld, container: str, name: str) -> Sandbox:
    await world.bus.call(DISCONNECT, DisconnectRequest(network=name, container_id=container))
    return await sandbox_of(world, container)


async def sandbox_of(world: NetworkWorld, container: str) -> Sandbox:
    return next(each for each in await world.sandboxes() if each.container_id == container)


def interfaces(sandbox: Sandbox) -> set[str]:
    namespace = namespaces.enter(Path(sandbox.path))
    names = {link.name for link in namespace.netlink.links()}
    namespace.close()
    return names


@pytest.fixture
async def web(service: None, world: NetworkWorld) -> None:
    """Networks `apart`, which comes before `bridge` by name, and `web`, which comes after."""
    for name in ("apart", "web"):
        await world.bus.call(CREATE, CreateRequest(name=name))


@pytest.mark.usefixtures("web")
async def test_a_container_comes_to_a_network_and_leaves_it(world: NetworkWorld) -> None:
    other = await world.sandbox("other", endpoints={"web": EndpointSettings()})
    task = await listen(other.path)
    await world.sandbox("c1")
    made = await connect(world, "c1", "web", EndpointSettings(aliases=("api",)))
    assert interfaces(made) == {"lo", "eth0", "eth1"}
    assert await ask(socket_in(made.path), (address_of(other, "web"), 80)) == address_of(made, "web")
    hosts = Path(made.files["/etc/hosts"])
    assert hosts.read_text().endswith(f"{address_of(made)}\tc1\n{address_of(made, 'web')}\tc1\n")
    assert "nameserver 127.0.0.11" in Path(made.files["/etc/resolv.conf"]).read_text()
    with pytest.raises(PermissionDenied, match="has active endpoints"):
        await world.bus.call(REMOVE, InspectRequest(reference="web"))
    left = await disconnect(world, "c1", "web")
    assert interfaces(left) == {"lo", "eth0"}
    assert list(left.endpoints) == ["bridge"]
    assert hosts.read_text().endswith(f"{address_of(made)}\tc1\n")
    task.cancel()


@pytest.mark.usefixtures("web")
async def test_ports_and_the_way_out_follow_the_gateway(world: NetworkWorld) -> None:
    first = await world.sandbox("c1", publish=PORT)
    task = await listen(first.path)
    made = await connect(world, "c1", "apart")
    assert f"tcp . 8080 : {address_of(made, 'apart')} . 80" in world.rules()
    assert await ask(socket.socket(), ("127.0.0.1", 8080)) == made.endpoints["apart"].gateway
    assert await ask(socket.socket(socket.AF_INET6), ("::1", 8080)) == made.endpoints["apart"].gateway
    await disconnect(world, "c1", "apart")
    assert await ask(socket.socket(), ("127.0.0.1", 8080)) == "172.17.0.1"
    await disconnect(world, "c1", "bridge")
    assert "8080" not in world.rules()
    await connect(world, "c1", "bridge")
    assert await ask(socket.socket(), ("127.0.0.1", 8080)) == "172.17.0.1"
    task.cancel()
    await world.release("c1")
    assert "8080" not in world.rules()


async def test_the_change_lives_through_a_restart(world: NetworkWorld) -> None:
    async with world.running():
        await world.bus.call(CREATE, CreateRequest(name="web"))
        await world.sandbox("c1")
        made = await connect(world, "c1", "web")
        await disconnect(world, "c1", "bridge")
    async with world.running():
        again = await sandbox_of(world, "c1")
        assert list(again.endpoints) == ["web"]
        assert again.endpoints["web"] == made.endpoints["web"]
        assert interfaces(again) == {"lo", "eth1"}
        assert address_of(await world.sandbox("c2")) == "172.17.0.2"


@pytest.mark.usefixtures("web")
async def test_what_fails_changes_nothing(world: NetworkWorld) -> None:
    await world.sandbox("c1")
    made = await connect(world, "c1", "web")
    await world.sandbox("c2")
    before = await sandbox_of(world, "c2")
    taken = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address=address_of(made, "web")))
    with pytest.raises(Conflict, match="Address already in use"):
        await connect(world, "c2", "web", taken)
    assert await sandbox_of(world, "c2") == before
    assert interfaces(before) == {"lo", "eth0"}
    assert len(await world.endpoints()) == 3


@pytest.mark.usefixtures("web")
async def test_host_and_none_are_for_ever(world: NetworkWorld) -> None:
    await world.sandbox("c1", mode="host")
    await world.sandbox("c2", mode="none")
    for container in ("c1", "c2"):
        with pytest.raises(PermissionDenied, match="container cannot be"):
            await connect(world, container, "web")
    with pytest.raises(PermissionDenied, match="container cannot be disconnected from host network"):
        await disconnect(world, "c1", "host")
