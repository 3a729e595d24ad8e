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
    IPAM,
    PUBLISH,
    REMOVE,
    ConnectRequest,
    CreateRequest,
    DisconnectRequest,
    InspectRequest,
    IPAMConfig,
    PublishRequest,
    Sandbox,
)
from shared.errors import Conflict, InvalidArgument, NotFound, PermissionDenied
from tests.support.namespaces import links_of_the_kernel
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
    """What it has beside what the kernel gives."""
    namespace = namespaces.enter(Path(sandbox.path))
    names = {link.name for link in namespace.netlink.links()}
    namespace.close()
    assert names >= set(links_of_the_kernel())
    return names - set(links_of_the_kernel())


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
    assert interfaces(made) == {"eth0", "eth1"}
    assert await ask(socket_in(made.path), (address_of(other, "web"), 80)) == address_of(made, "web")
    hosts = Path(made.files["/etc/hosts"])
    assert hosts.read_text().endswith(f"{address_of(made)}\tc1\n{address_of(made, 'web')}\tc1\n")
    assert "nameserver 127.0.0.11" in Path(made.files["/etc/resolv.conf"]).read_text()
    with pytest.raises(PermissionDenied, match="has active endpoints"):
        await world.bus.call(REMOVE, InspectRequest(reference="web"))
    left = await disconnect(world, "c1", "web")
    assert interfaces(left) == {"eth0"}
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
        assert interfaces(again) == {"eth1"}
        assert address_of(await world.sandbox("c2")) == "172.17.0.2"


@pytest.mark.usefixtures("web")
async def test_what_fails_changes_nothing(world: NetworkWorld) -> None:
    await world.bus.call(CREATE, CreateRequest(name="fixed", ipam=IPAM(config=(IPAMConfig(subnet="10.66.0.0/24"),))))
    await world.sandbox("c1")
    made = await connect(world, "c1", "fixed")
    await world.sandbox("c2")
    before = await sandbox_of(world, "c2")
    taken = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address=address_of(made, "fixed")))
    with pytest.raises(PermissionDenied, match="Address already in use"):
        await connect(world, "c2", "fixed", taken)
    assert await sandbox_of(world, "c2") == before
    assert interfaces(before) == {"eth0"}
    assert len(await world.endpoints()) == 3


@pytest.mark.usefixtures("web")
async def test_host_and_none_are_for_ever(world: NetworkWorld) -> None:
    await world.sandbox("c1", mode="host")
    await world.sandbox("c2", mode="none")
    for container in ("c1", "c2"):
        with pytest.raises(InvalidArgument, match="container cannot be"):
            await connect(world, container, "web")
    with pytest.raises(InvalidArgument, match="container cannot be disconnected from host network"):
        await disconnect(world, "c1", "host")


async def publish(world: NetworkWorld, container: str, *ports: str) -> Sandbox:
    """`8080:80` as the CLI has it."""
    wanted: dict[str, tuple[PortBinding, ...]] = {}
    for port in ports:
        host, _, target = port.partition(":")
        wanted[f"{target}/tcp"] = (*wanted.get(f"{target}/tcp", ()), PortBinding(host_port=host))
    return await world.bus.call(PUBLISH, PublishRequest(container_id=container, publish=wanted))


def shown(sandbox: Sandbox) -> set[str]:
    return {
        f"{binding.host_port}:{port}"
        for port, bindings in sandbox.ports.items()
        for binding in bindings or ()
        if binding.host_ip == "0.0.0.0"
    }


@pytest.mark.usefixtures("service")
async def test_published_ports_change_while_a_container_runs(world: NetworkWorld) -> None:
    made = await world.sandbox("c1", publish=PORT)
    task = await listen(made.path)
    assert shown(await publish(world, "c1", "8080:80", "8081:80")) == {"8080:80/tcp", "8081:80/tcp"}
    assert await ask(socket.socket(), ("127.0.0.1", 8081)) == "172.17.0.1"
    assert shown(await publish(world, "c1", "8081:80")) == {"8081:80/tcp"}
    with pytest.raises(ConnectionRefusedError):
        await ask(socket.socket(), ("127.0.0.1", 8080))
    assert await ask(socket.socket(socket.AF_INET6), ("::1", 8081)) == "172.17.0.1"
    await world.sandbox("c2", publish=PORT)
    with pytest.raises(
        Conflict, match=r"endpoint name-c1 \(\w+\): Bind for 0.0.0.0:8080 failed: port is already alloc"
    ):
        await publish(world, "c1", "8080:80")
    assert shown(await sandbox_of(world, "c1")) == {"8081:80/tcp"}
    assert await ask(socket.socket(), ("127.0.0.1", 8081)) == "172.17.0.1"
    assert shown(await publish(world, "c1")) == set()
    assert "8081" not in world.rules()
    task.cancel()


async def test_changed_ports_live_through_a_restart(world: NetworkWorld) -> None:
    async with world.running():
        await world.sandbox("c1", publish=PORT)
        await publish(world, "c1", "8082:80")
    async with world.running():
        assert shown(await sandbox_of(world, "c1")) == {"8082:80/tcp"}
        assert "tcp . 8082 : 172.17.0.2 . 80" in world.rules()
        assert "8080" not in world.rules()
        await world.sandbox("c2", publish=PORT)


@pytest.mark.usefixtures("web")
async def test_ports_that_had_no_way_in_come_with_the_first_network_that_has(world: NetworkWorld) -> None:
    await world.bus.call(CREATE, CreateRequest(name="inner", internal=True))
    made = await world.sandbox("c1", endpoints={"inner": EndpointSettings()}, publish=PORT)
    assert shown(made) == set()
    assert shown(await connect(world, "c1", "web")) == {"8080:80/tcp"}
    assert shown(await disconnect(world, "c1", "web")) == set()
    await world.sandbox("c2", publish=PORT)


@pytest.mark.usefixtures("service")
async def test_who_has_no_ports_to_change(world: NetworkWorld) -> None:
    with pytest.raises(NotFound, match="has no network sandbox"):
        await publish(world, "c9", "80:80")
    await world.sandbox("c1", mode="host")
    with pytest.raises(Conflict, match="in network mode host cannot be published"):
        await publish(world, "c1", "80:80")


@pytest.mark.usefixtures("service")
async def test_a_second_family_comes_with_a_second_network(world: NetworkWorld) -> None:
    pool = IPAM(config=(IPAMConfig(subnet="fd00:6::/64"),))
    await world.bus.call(CREATE, CreateRequest(name="six", enable_ipv6=True, ipam=pool))
    made = await world.sandbox("c1", publish=PORT)
    task = await listen(made.path, host="::")
    assert await ask(socket.socket(socket.AF_INET6), ("::1", 8080)) == "::ffff:172.17.0.1"
    both = await connect(world, "c1", "six")
    assert "tcp . 8080 : fd00:6::2 . 80" in world.rules()
    assert await ask(socket.socket(socket.AF_INET6), ("::1", 8080)) == "fd00:6::1"
    hosts = Path(both.files["/etc/hosts"]).read_text()
    assert hosts.endswith(f"{address_of(both, 'six')}\tc1\nfd00:6::2\tc1\n")
    left = await disconnect(world, "c1", "six")
    assert "fd00:6::2" not in Path(left.files["/etc/hosts"]).read_text()
    assert await ask(socket.socket(), ("127.0.0.1", 8080)) == "::ffff:172.17.0.1"
    task.cancel()


@pytest.mark.usefixtures("service")
async def test_a_container_comes_to_the_hosts_own_network_and_leaves_it(world: NetworkWorld) -> None:
    lan = IPAM(config=(IPAMConfig(subnet="10.77.0.0/24"),))
    await world.bus.call(CREATE, CreateRequest(name="lan", driver="macvlan", options={"parent": "shoal0"}, ipam=lan))
    await world.sandbox("c1")
    made = await connect(world, "c1", "lan")
    assert interfaces(made) == {"eth0", "eth1"}
    assert interfaces(await disconnect(world, "c1", "lan")) == {"eth0"}
