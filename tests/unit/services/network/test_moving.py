"""A container comes from another host of the cluster, of which there are only records here."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.network.adapters.netlink import Netlink
from services.network.domain.naming import bridge_interface, veth
from services.network.service import NetworkService
from services.network.spanning import Spanning
from shared import cluster
from shared.cluster import Membership
from shared.contracts import network
from shared.contracts.common import DockerEvent
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import CLUSTER_ENDPOINTS, CreateRequest, EndpointRecord, Sandbox
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import FailedPrecondition, NotFound
from tests.support.network_world import NetworkWorld
from tests.support.waiting import until

MAC = "02:42:0a:00:01:09"
ON_NET = {"net": EndpointSettings()}


@pytest.fixture
def world(host_network: None, tmp_path: Path) -> Iterator[NetworkWorld]:
    """A host in a cluster."""
    made = NetworkWorld(tmp_path)
    place = "127.0.0.1:7377"
    membership = Membership(cluster="c", address=place, hubs=(place,), hub="hub-1")
    cluster.save(made.settings.state_path, membership)
    yield made
    made.sweep()


@pytest.fixture
async def net(world: NetworkWorld) -> AsyncIterator[str]:
    """A network across hosts, on which the container `c1` of the host `there` is; its id. The service runs."""
    async with world.running():
        yield await begin(world)


async def begin(world: NetworkWorld) -> str:
    for node, place in (("node1", "127.0.0.1:7377"), ("there", "192.0.2.2:7377")):
        record = NodeRecord(id=node, name=node, role="leaf", address=place, joined=1)
        await world.state.create(NODES, node, value=record)
    made = (await world.bus.call(network.CREATE, CreateRequest(name="net", driver="overlay"))).id
    endpoint = EndpointRecord(
        id="e" * 64,
        network_id=made,
        container_id="c1",
        container_name="name-c1",
        node="there",
        mac_address=MAC,
        ipv4_address="10.0.1.9/24",
        dns_names=("name-c1",),
        interface="eth3",
    )
    await world.state.create(CLUSTER_ENDPOINTS, made, "10.0.1.9", value=endpoint)
    await until(lambda: bool(spanning(world.service).records.endpoints(made)))
    return made


def spanning(service: NetworkService) -> Spanning:
    assert service._spanning is not None
    return service._spanning


def bridge_of(sandbox: Sandbox, slot: int = 0) -> str:
    """The bridge that a sandbox's interface is a port of."""
    netlink = Netlink()
    port = netlink.link(veth("tst", sandbox.sandbox_id, slot))
    assert port is not None
    name = next((link.name for link in netlink.links() if link.index == port.master), "")
    netlink.close()
    return name


async def holder(world: NetworkWorld, net: str) -> tuple[str, str]:
    entry = await world.state.get(CLUSTER_ENDPOINTS, net, "10.0.1.9")
    return (entry.value.node, entry.value.id) if entry is not None else ("", "")


async def stack(world: NetworkWorld, call: object, container: str = "c1") -> Sandbox:
    return await world.bus.call(call, network.StackRequest(container_id=container))  # type: ignore[arg-type]


PORTS = {"80/tcp": (PortBinding(host_ip="127.0.0.1", host_port="8080"),)}


async def test_a_stack_in_standby_has_all_that_the_container_has_and_is_reached_by_nobody(
    world: NetworkWorld, net: str
) -> None:
    made = await world.sandbox("c1", endpoints=ON_NET, publish=PORTS, standby=True)
    assert await world.sandbox("c1", endpoints=ON_NET, publish=PORTS, standby=True) == made
    shown = made.endpoints["net"]
    assert (shown.ip_address, shown.mac_address, shown.endpoint_id) == ("10.0.1.9", MAC, "e" * 64)
    assert list(made.endpoints) == ["net"]
    assert bridge_of(made) == bridge_of(made, 1) == ""
    assert "8080" not in world.rules()
    assert await holder(world, net) == ("there", "e" * 64)
    assert world.events.empty() or all(event.action == "create" for event in drained(world))


def drained(world: NetworkWorld) -> list[DockerEvent]:
    return [world.events.get_nowait() for _ in range(world.events.qsize())]


async def test_attached_it_is_the_containers_own(world: NetworkWorld, net: str) -> None:
    made = await world.sandbox("c1", endpoints=ON_NET, publish=PORTS, standby=True)
    for _ in range(2):
        assert await stack(world, network.ATTACH) == made
    assert bridge_of(made) == bridge_interface("tst", net)
    assert bridge_of(made, 1).startswith("tst-")
    assert "8080" in world.rules()
    assert await holder(world, net) == ("node1", "e" * 64)
    await world.release("c1")
    await until(lambda: not spanning(world.service).records.endpoints(net))


async def test_soon_frames_pass_and_all_else_comes_when_it_is_asked_for(world: NetworkWorld, net: str) -> None:
    made = await world.sandbox("c1", endpoints=ON_NET, publish=PORTS, standby=True)
    soon = network.StackRequest(container_id="c1", soon=True)
    assert await world.bus.call(network.ATTACH, soon) == made
    assert bridge_of(made) == bridge_interface("tst", net)
    assert "8080" not in world.rules()
    assert await holder(world, net) == ("there", "e" * 64)
    await stack(world, network.ATTACH)
    assert "8080" in world.rules()
    assert await holder(world, net) == ("node1", "e" * 64)


async def test_a_standby_that_is_let_go_leaves_the_container_where_it_is(world: NetworkWorld, net: str) -> None:
    before = world.links()
    await world.sandbox("c1", endpoints=ON_NET, standby=True)
    await world.release("c1")
    await until(lambda: not {name for name in world.links() - before if net[:8] in name})
    await world.service.told()
    assert await holder(world, net) == ("there", "e" * 64)


async def test_a_killed_service_goes_on_with_a_standby(world: NetworkWorld) -> None:
    async with world.running():
        net = await begin(world)
        made = await world.sandbox("c1", endpoints=ON_NET, publish=PORTS, standby=True)
    async with world.running():
        assert bridge_of(made) == ""
        assert "8080" not in world.rules()
        assert await holder(world, net) == ("there", "e" * 64)
        assert await stack(world, network.ATTACH) == made
    async with world.running():
        assert bridge_of(made) == bridge_interface("tst", net)
        assert await holder(world, net) == ("node1", "e" * 64)


async def test_a_container_that_another_host_has_no_more_keeps_its_addresses(world: NetworkWorld, net: str) -> None:
    made = await world.sandbox("c1", endpoints=ON_NET)
    assert made.endpoints["net"].ip_address == "10.0.1.9"
    assert await holder(world, net) == ("node1", "e" * 64)


async def test_detached_no_frame_passes_until_it_is_attached(world: NetworkWorld, net: str) -> None:
    made = await world.sandbox("c2", endpoints=ON_NET)
    for _ in range(2):
        await stack(world, network.DETACH, "c2")
        assert bridge_of(made) == bridge_of(made, 1) == ""
    assert await stack(world, network.ATTACH, "c2") == made
    assert bridge_of(made) == bridge_interface("tst", net)
    await stack(world, network.DETACH, "c2")
    await world.bus.call(network.RELEASE, network.ReleaseRequest(container_id="c2", moved=True))
    await world.service.told()
    assert [record.container_id for record in spanning(world.service).records.endpoints(net)].count("c2") == 1


async def test_what_cannot_move_is_refused(world: NetworkWorld, net: str) -> None:
    with pytest.raises(FailedPrecondition, match="does not span"):
        await world.sandbox("c3", standby=True)
    with pytest.raises(FailedPrecondition, match="does not span"):
        await world.sandbox("c3", endpoints=ON_NET, standby=True)
    with pytest.raises(NotFound):
        await stack(world, network.ATTACH, "c3")
    await world.sandbox("c4", mode="none", endpoints={"none": EndpointSettings()}, standby=True)
    await stack(world, network.ATTACH, "c4")
