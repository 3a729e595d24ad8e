"""Records, pools and bridges of networks."""

from __future__ import annotations

import asyncio

import pytest

from services.network.adapters import namespaces
from services.network.adapters.links import HostLinks
from services.network.domain.drivers import HostLink
from services.network.service import NetworkService
from shared.contracts.container import EndpointSettings
from shared.contracts.network import (
    CREATE,
    INSPECT,
    IPAM,
    LIST,
    NAMES,
    REMOVE,
    SPECS,
    CreateRequest,
    InspectRequest,
    IPAMConfig,
    ListRequest,
    NetworkSpec,
)
from shared.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from tests.support.network_world import NetworkWorld


async def inspect(world: NetworkWorld, reference: str) -> NetworkSpec:
    return (await world.bus.call(INSPECT, InspectRequest(reference=reference))).spec


async def create(world: NetworkWorld, name: str, subnet: str = "", **options: str) -> str:
    ipam = IPAM(config=(IPAMConfig(subnet=subnet),)) if subnet else IPAM()
    wanted = CreateRequest(name=name, ipam=ipam, options={key.replace("_", "."): options[key] for key in options})
    return (await world.bus.call(CREATE, wanted)).id


@pytest.mark.usefixtures("service")
async def test_the_predefined_networks_are_there_from_the_start(world: NetworkWorld) -> None:
    listed = (await world.bus.call(LIST, ListRequest())).networks
    assert {net.spec.name: net.spec.driver for net in listed} == {"bridge": "bridge", "host": "host", "none": "null"}
    bridge = await inspect(world, "bridge")
    assert bridge.ipam.config == (IPAMConfig(subnet="172.17.0.0/16", gateway="172.17.0.1"),)
    assert bridge.options["com.docker.network.bridge.name"] == "shoal0"
    assert "shoal0" in world.links()


@pytest.mark.usefixtures("service")
async def test_networks_take_the_next_free_subnets(world: NetworkWorld) -> None:
    await create(world, "one", "172.18.0.0/16")
    await create(world, "two")
    assert (await inspect(world, "two")).ipam.config[0].subnet == "172.19.0.0/16"


@pytest.mark.usefixtures("service")
async def test_a_name_and_a_subnet_are_taken_once(world: NetworkWorld) -> None:
    results = await asyncio.gather(*(create(world, "web") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 1
    assert {str(r) for r in results if isinstance(r, AlreadyExists)} == {"network with name web already exists"}
    with pytest.raises(PermissionDenied, match="Pool overlaps with other one on this address space"):
        await create(world, "other", (await inspect(world, "web")).ipam.config[0].subnet)


@pytest.mark.usefixtures("service")
async def test_a_network_that_cannot_be_recorded_leaves_nothing(
    world: NetworkWorld, service: NetworkService, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.links()

    async def refuse(*_: object) -> int:
        raise InvalidArgument("a name of 5050 bytes is too long")

    monkeypatch.setattr(service._catalog, "_store", refuse)
    with pytest.raises(InvalidArgument, match="too long"):
        await create(world, "web", "172.18.0.0/16")
    assert world.links() == before
    monkeypatch.undo()
    await create(world, "web", "172.18.0.0/16")


@pytest.mark.usefixtures("service")
async def test_a_bridge_can_be_named_but_no_interface_of_the_host_is_taken(world: NetworkWorld) -> None:
    with pytest.raises(InvalidArgument, match="existing interface lo is not a bridge"):
        await create(world, "bad", com_docker_network_bridge_name="lo")
    with pytest.raises(PermissionDenied, match="networks have same bridge name"):
        await create(world, "bad", com_docker_network_bridge_name="shoal0")
    await create(world, "good", com_docker_network_bridge_name="mine0")
    assert "mine0" in world.links()
    await world.bus.call(REMOVE, InspectRequest(reference="good"))
    assert "mine0" not in world.links()


@pytest.mark.usefixtures("service")
async def test_a_removed_network_leaves_nothing(world: NetworkWorld) -> None:
    before, rules = world.links(), world.rules()
    identity = await create(world, "web")
    assert world.links() != before
    await world.bus.call(REMOVE, InspectRequest(reference="web"))
    assert (world.links(), world.rules()) == (before, rules)
    assert await world.state.get(SPECS, identity) is None
    with pytest.raises(NotFound, match="network web not found"):
        await inspect(world, "web")
    assert await create(world, "web") != identity


async def test_ids_live_through_a_restart(world: NetworkWorld, service: NetworkService) -> None:
    await create(world, "web", "10.77.0.0/24")
    before = {net.spec.id for net in (await world.bus.call(LIST, ListRequest())).networks}
    async with world.running():
        after = (await world.bus.call(LIST, ListRequest())).networks
        assert {net.spec.id for net in after} == before
        assert (await inspect(world, "web")).ipam.config[0].gateway == "10.77.0.1"


@pytest.mark.usefixtures("service")
async def test_a_name_that_a_crash_left_without_network_can_be_taken(world: NetworkWorld) -> None:
    identity = await create(world, "web")
    await world.bus.call(REMOVE, InspectRequest(reference="web"))
    node = world.bus.node
    assert await world.state.get(NAMES, f"{node}/web") is None
    from shared.contracts.common import NameRecord

    await world.state.create(NAMES, f"{node}/web", value=NameRecord(id=identity))
    assert (await inspect(world, await create(world, "web"))).name == "web"


async def test_a_bridge_that_cannot_be_had_harms_no_other_network(world: NetworkWorld) -> None:
    async with world.running():
        await create(world, "web", com_docker_network_bridge_name="mine0")
    links = HostLinks()
    links.remove("mine0")
    namespace = namespaces.create()
    links.add_veth("mine0", "eth0", namespace.descriptor, 1500)
    async with world.running():
        assert (await world.sandbox("c1")).endpoints["bridge"].ip_address
        with pytest.raises(FailedPrecondition, match="network sandbox cannot be made"):
            await world.sandbox("c2", endpoints={"web": EndpointSettings()})
    links.close()
    namespace.close()


@pytest.mark.usefixtures("service")
async def test_another_default_subnet_is_taken_over_at_the_next_start(world: NetworkWorld) -> None:
    before = await inspect(world, "bridge")
    again = NetworkWorld(world.directory, bridge_subnet="10.200.0.1/24")
    again.state = world.state
    async with again.running():
        bridge = await inspect(again, "bridge")
    assert bridge.id == before.id
    assert bridge.ipam.config == (IPAMConfig(subnet="10.200.0.0/24", gateway="10.200.0.1"),)


async def make(world: NetworkWorld, **fields: object) -> NetworkSpec:
    made = await world.bus.call(CREATE, CreateRequest(**{"name": "web", **fields}))  # type: ignore[arg-type]
    return await inspect(world, made.id)


def pool(*subnets: str) -> IPAM:
    return IPAM(config=tuple(IPAMConfig(subnet=subnet) for subnet in subnets))


@pytest.mark.usefixtures("service")
async def test_a_network_of_both_families_has_a_pool_of_each(world: NetworkWorld) -> None:
    spec = await make(world, enable_ipv6=True)
    four, six = spec.ipam.config
    assert (four.subnet, six.subnet[:2], six.gateway[-3:]) == ("172.18.0.0/16", "fd", "::1")
    assert spec.asked == ()
    await world.bus.call(REMOVE, InspectRequest(reference="web"))
    spec = await make(world, enable_ipv6=True, ipam=pool("fd00:5::/64"))
    assert [config.gateway for config in spec.ipam.config] == ["172.18.0.1", "fd00:5::1"]
    assert spec.asked == (IPAMConfig(subnet="fd00:5::/64"),)
    again = NetworkWorld(world.directory)
    again.state = world.state
    async with again.running():
        assert await inspect(again, "web") == spec


@pytest.mark.usefixtures("service")
async def test_pools_of_an_ip_version_that_is_off_are_kept_and_not_used(world: NetworkWorld) -> None:
    spec = await make(world, ipam=pool("fd00:5::/64"))
    assert [config.subnet for config in spec.ipam.config] == ["172.18.0.0/16"]
    assert spec.asked == (IPAMConfig(subnet="fd00:5::/64"),)


@pytest.mark.usefixtures("service")
async def test_a_network_of_a_configuration(world: NetworkWorld) -> None:
    await make(world, name="cfg", config_only=True, ipam=pool("10.99.0.0/24"), labels={"l": "1"})
    before = world.links()
    spec = await make(world, config_from="cfg")
    assert (spec.ipam.config[0].gateway, spec.labels, spec.config_from) == ("10.99.0.1", {"l": "1"}, "cfg")
    assert len(world.links() - before) == 1
    with pytest.raises(PermissionDenied, match='configuration network "cfg" is in use'):
        await world.bus.call(REMOVE, InspectRequest(reference="cfg"))
    with pytest.raises(NotFound, match='configuration network "nope" does not exist'):
        await make(world, name="other", config_from="nope")
    for name in ("web", "cfg"):
        await world.bus.call(REMOVE, InspectRequest(reference=name))
    assert world.links() == before


@pytest.mark.usefixtures("service")
async def test_anothers_bridge_stays_after_its_network(world: NetworkWorld) -> None:
    links = HostLinks()
    links.ensure(HostLink("mine0"))
    links.close()
    spec = await make(world, options={"com.docker.network.bridge.name": "mine0"})
    assert spec.keeps_link
    await world.bus.call(REMOVE, InspectRequest(reference="web"))
    assert "mine0" in world.links()


@pytest.mark.usefixtures("service")
async def test_networks_on_one_parent(world: NetworkWorld) -> None:
    links = HostLinks()
    links.ensure(HostLink("up0"))
    links.close()
    one = await make(world, name="one", driver="macvlan", options={"parent": "up0"}, ipam=pool("10.1.0.0/24"))
    assert one.keeps_link
    await make(world, name="two", driver="macvlan", options={"parent": "up0"}, ipam=pool("10.2.0.0/24"))
    with pytest.raises(PermissionDenied, match="cannot use mode passthru"):
        await make(world, name="x", driver="macvlan", options={"parent": "up0", "macvlan_mode": "passthru"})
    with pytest.raises(InvalidArgument, match="invalid subinterface vlan name nope0"):
        await make(world, name="x", driver="macvlan", options={"parent": "nope0"})
    for name in ("one", "two"):
        await world.bus.call(REMOVE, InspectRequest(reference=name))
    assert "up0" in world.links()


@pytest.mark.usefixtures("service")
async def test_a_network_without_parent_has_one_of_its_own(world: NetworkWorld) -> None:
    before = world.links()
    spec = await make(world, driver="macvlan")
    assert (spec.keeps_link, spec.ipam.config[0].gateway) == (False, "")
    assert len(world.links() - before) == 1
    await world.bus.call(REMOVE, InspectRequest(reference="web"))
    assert world.links() == before


async def test_what_a_crash_left_of_a_named_bridge_goes(world: NetworkWorld) -> None:
    async with world.running():
        await make(world, options={"com.docker.network.bridge.name": "mine0"})
    spec = next(iter((await world.state.view(SPECS)).items(SPECS)))[1].value
    view = await world.state.view(SPECS)
    for _, entry in view.items(SPECS):
        if entry.value.name == "web":
            spec = entry.value
    await world.state.delete(SPECS, spec.id)
    async with world.running():
        assert "mine0" not in world.links()


async def test_the_default_bridge_may_have_ipv6(world: NetworkWorld) -> None:
    again = NetworkWorld(world.directory, bridge_subnet6="fd00:17::1/64")
    async with again.running():
        bridge = await inspect(again, "bridge")
        assert (bridge.enable_ipv6, bridge.ipam.config[1]) == (
            True, IPAMConfig(subnet="fd00:17::/64", gateway="fd00:17::1"),
        )  # fmt: skip
        made = await again.sandbox("c1")
        assert made.endpoints["bridge"].global_ipv6_address == "fd00:17::2"
