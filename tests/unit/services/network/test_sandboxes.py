"""Making and releasing sandboxes; what a failure leaves."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from shared.contracts.container import EndpointIPAMConfig, EndpointSettings, PortBinding
from shared.contracts.network import CREATE, ENDPOINTS, IPAM, RENAMED, CreateRequest, IPAMConfig, RenamedRequest
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unavailable
from tests.support.network_world import NetworkWorld, address_of

pytestmark = pytest.mark.usefixtures("service")


def port(number: str = "8080", host: str = "") -> dict[str, tuple[PortBinding, ...]]:
    return {"80/tcp": (PortBinding(host_ip=host, host_port=number),)}


async def test_a_sandbox_is_complete_when_the_call_returns(world: NetworkWorld) -> None:
    made = await world.sandbox(publish=port(), exposed=("90/udp",), hostname="web")
    end = made.endpoints["bridge"]
    assert (end.ip_address, end.ip_prefix_len, end.gateway) == ("172.17.0.2", 16, "172.17.0.1")
    assert end.mac_address == "02:42:ac:11:00:02"
    assert made.ports["90/udp"] is None
    assert made.ports["80/tcp"] is not None
    assert made.ports["80/tcp"][0] == PortBinding(host_ip="0.0.0.0", host_port="8080")
    assert Path(made.path).stat().st_dev != Path(made.path).parent.stat().st_dev
    assert Path(made.files["/etc/hosts"]).read_text().endswith("172.17.0.2\tweb\n")
    assert "tcp . 8080 : 172.17.0.2 . 80" in world.rules()
    assert await world.endpoints() == {end.endpoint_id}


async def test_asking_again_gives_the_same_one(world: NetworkWorld) -> None:
    made = await asyncio.gather(*(world.sandbox() for _ in range(3)))
    assert made[0] == made[1] == made[2]
    assert await world.sandboxes() == [made[0]]


async def test_released_it_leaves_nothing_and_its_address_is_free(world: NetworkWorld) -> None:
    rules = world.rules()
    await world.sandbox("other")
    for _ in range(2):
        made = await world.sandbox(publish=port())
        assert address_of(made) == "172.17.0.3"
        await world.release()
        await world.release()
    assert not Path(made.path).exists()
    assert world.rules() == rules
    assert world.files("containers") == {"other"}
    assert world.files("sandboxes") == {"other.json"}
    assert len(await world.endpoints()) == 1


async def test_the_files_of_a_stopped_container_stay(world: NetworkWorld) -> None:
    made = await world.sandbox()
    await world.release(keep_files=True)
    assert Path(made.files["/etc/hosts"]).exists()
    assert (await world.sandbox()).files == made.files


async def test_without_network_and_with_the_hosts(world: NetworkWorld) -> None:
    none = await world.sandbox("c1", mode="none")
    host = await world.sandbox("c2", mode="host", publish=port())
    assert list(none.endpoints) == ["none"]
    assert none.path
    assert (list(host.endpoints), host.path, host.ports) == (["host"], "", {})
    assert "8080" not in world.rules()
    await world.release("c1")
    await world.release("c2")
    assert world.files("netns") == set()


async def test_a_failure_gives_everything_back(world: NetworkWorld) -> None:
    await world.sandbox("c1", publish=port())
    rules, namespaces = world.rules(), world.files("netns")
    with pytest.raises(Conflict) as caught:
        await world.sandbox("c2", publish={"80/tcp": (PortBinding(host_port="9090"), PortBinding(host_port="8080"))})
    assert caught.value.message.startswith("driver failed programming external connectivity on endpoint name-c2 (")
    assert caught.value.message.endswith("): Bind for 0.0.0.0:8080 failed: port is already allocated")
    assert (world.rules(), world.files("netns")) == (rules, namespaces)
    assert address_of(await world.sandbox("c3", publish=port("9090"))) == "172.17.0.3"


async def test_a_failure_of_the_host_gives_everything_back(world: NetworkWorld) -> None:
    rules, ends = world.rules(), await world.endpoints()
    records = world.directory / "run" / "network" / "sandboxes"
    records.rmdir()
    with pytest.raises(FailedPrecondition, match="network sandbox cannot be made"):
        await world.sandbox(publish=port())
    assert (world.rules(), await world.endpoints(), world.files("netns")) == (rules, ends, set())
    records.mkdir()
    assert address_of(await world.sandbox(publish=port())) == "172.17.0.2"


async def test_nobody_waits_for_a_store_that_refuses(world: NetworkWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> int:
        raise Unavailable("no store")

    with monkeypatch.context() as patched:
        patched.setattr(world.state, "create", refuse)
        made = await world.sandbox(publish=port())
    assert await world.endpoints() == {made.endpoints["bridge"].endpoint_id}


async def test_fifty_at_once_have_fifty_addresses(world: NetworkWorld) -> None:
    made = await asyncio.gather(*(world.sandbox(f"c{number}", publish=port("")) for number in range(50)))
    assert len({address_of(sandbox) for sandbox in made}) == 50
    assert len({sandbox.ports["80/tcp"] for sandbox in made}) == 50
    await asyncio.gather(*(world.release(f"c{number}") for number in range(50)))
    assert world.files("netns") == set()


async def test_user_networks_give_static_addresses_and_names(world: NetworkWorld) -> None:
    ipam = IPAM(config=(IPAMConfig(subnet="10.66.0.0/24"),))
    await world.bus.call(CREATE, CreateRequest(name="web", ipam=ipam))
    fixed = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.66.0.9"), aliases=("api",))
    made = await world.sandbox("c1", endpoints={"web": fixed, "bridge": EndpointSettings()})
    assert address_of(made, "web") == "10.66.0.9"
    assert made.endpoints["web"].dns_names == ("name-c1", "api", "c1")
    with pytest.raises(PermissionDenied, match="Address already in use"):
        await world.sandbox("c2", endpoints={"web": fixed})
    with pytest.raises(InvalidArgument, match="supported on user defined networks only"):
        await world.sandbox("c2", endpoints={"bridge": fixed})
    with pytest.raises(NotFound, match="network nope not found"):
        await world.sandbox("c2", endpoints={"nope": fixed})


async def test_a_network_cannot_be_named_twice(world: NetworkWorld) -> None:
    identity = (await world.bus.call(CREATE, CreateRequest(name="web"))).id
    with pytest.raises(InvalidArgument, match="names one of its networks twice"):
        await world.sandbox(endpoints={"web": EndpointSettings(), identity: EndpointSettings()})


async def test_a_wished_mac_address(world: NetworkWorld) -> None:
    made = await world.sandbox(endpoints={"bridge": EndpointSettings(mac_address="02:00:00:00:00:99")})
    assert made.endpoints["bridge"].mac_address == "02:00:00:00:00:99"


async def test_links_are_lines_of_the_hosts_file_and_follow_the_linked_container(world: NetworkWorld) -> None:
    await world.sandbox("c1")
    made = await world.sandbox("c2", links=("c1:db", "nope:x"))
    hosts = Path(made.files["/etc/hosts"])
    assert "172.17.0.2\tdb c1 name-c1\n" in hosts.read_text()
    assert hosts.read_text().endswith("172.17.0.3\tc2\n")
    await world.release("c1")
    await world.sandbox("c3")
    await world.sandbox("c1")
    assert "172.17.0.4\tdb c1 name-c1\n" in hosts.read_text()
    assert "172.17.0.2" not in hosts.read_text()


async def dual(world: NetworkWorld, name: str = "six", **fields: object) -> None:
    pool = IPAM(config=(IPAMConfig(subnet="fd00:6::/64"),))
    await world.bus.call(CREATE, CreateRequest(**{"name": name, "enable_ipv6": True, "ipam": pool, **fields}))  # type: ignore[arg-type]


async def test_an_endpoint_of_both_families(world: NetworkWorld) -> None:
    await dual(world)
    fixed = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv6_address="fd00:6::9"))
    made = await world.sandbox("c1", endpoints={"six": fixed}, publish=port())
    end = made.endpoints["six"]
    assert (end.ip_address, end.global_ipv6_address, end.global_ipv6_prefix_len) == ("172.18.0.2", "fd00:6::9", 64)
    assert (end.gateway, end.ipv6_gateway) == ("172.18.0.1", "fd00:6::1")
    assert made.ports["80/tcp"] == (
        PortBinding(host_ip="0.0.0.0", host_port="8080"),
        PortBinding(host_ip="::", host_port="8080"),
    )
    assert "tcp . 8080 : fd00:6::9 . 80" in world.rules()
    assert Path(made.files["/etc/hosts"]).read_text().endswith("172.18.0.2\tc1\nfd00:6::9\tc1\n")
    await world.service.told()
    entry = await world.state.get(ENDPOINTS, end.network_id, end.endpoint_id)
    assert entry is not None
    assert entry.value.ipv6_address == "fd00:6::9/64"
    await world.release("c1")
    assert "fd00:6::9" not in world.rules()


async def test_a_network_of_ipv6_only(world: NetworkWorld) -> None:
    await dual(world, enable_ipv4=False)
    made = await world.sandbox("c1", endpoints={"six": EndpointSettings()}, publish=port())
    end = made.endpoints["six"]
    assert (end.ip_address, end.ip_prefix_len, end.gateway) == ("", 0, "")
    assert end.global_ipv6_address == "fd00:6::2"
    assert made.ports["80/tcp"] == (PortBinding(host_ip="::", host_port="8080"),)


async def test_a_container_on_the_hosts_own_network(world: NetworkWorld) -> None:
    lan = IPAM(config=(IPAMConfig(subnet="10.77.0.0/24"), IPAMConfig(subnet="10.78.0.0/24")))
    wanted = CreateRequest(name="lan", driver="macvlan", options={"parent": "shoal0"}, ipam=lan)
    await world.bus.call(CREATE, wanted)
    made = await world.sandbox("c1", endpoints={"lan": EndpointSettings()}, publish=port(), exposed=("80/tcp",))
    assert (made.endpoints["lan"].ip_address, made.endpoints["lan"].gateway) == ("10.77.0.2", "10.77.0.1")
    assert made.ports == {}
    fixed = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.78.0.9"))
    other = await world.sandbox("c2", endpoints={"lan": fixed})
    assert other.endpoints["lan"].gateway == "10.78.0.1"


async def test_what_no_kernel_has_is_a_refusal(world: NetworkWorld) -> None:
    opts = {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.no_such=1"}
    with pytest.raises(FailedPrecondition, match="network sandbox cannot be made"):
        await world.sandbox("c1", endpoints={"bridge": EndpointSettings(driver_opts=opts)})
    assert await world.sandboxes() == []


async def test_a_renamed_container_is_known_by_its_new_name(world: NetworkWorld) -> None:
    made = await world.sandbox()
    await world.bus.call(RENAMED, RenamedRequest(container_id="c1", name="new"))
    end = made.endpoints["bridge"]
    await world.service.told()
    entry = await world.state.get(ENDPOINTS, end.network_id, end.endpoint_id)
    assert entry is not None
    assert entry.value.container_name == "new"


async def test_a_taken_port_of_another_program(world: NetworkWorld) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        with pytest.raises(Conflict, match="address already in use"):
            await world.sandbox(publish=port(taken))
        assert (await world.sandbox(publish=port("8080"))).ports["80/tcp"]


@pytest.mark.parametrize("container", ["", "../../etc", "a/b", "a" * 200, "-x"])
async def test_a_container_id_is_no_path(world: NetworkWorld, container: str) -> None:
    with pytest.raises(InvalidArgument, match="container_id"):
        await world.sandbox(container)
    with pytest.raises(InvalidArgument, match="container_id"):
        await world.release(container)
