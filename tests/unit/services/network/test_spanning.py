"""Two hosts of a cluster, without a datapath: drivers that write down what they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.network.adapters.host_files import SpecFiles
from services.network.domain import peers
from services.network.spanning import Spanning
from shared.cluster import Membership
from shared.contracts.migrator import MIGRATIONS, MigrationRecord
from shared.contracts.network import IPAM, EndpointRecord, IPAMConfig, NetworkSpec
from shared.contracts.network_driver import JoinRequest, LeaveRequest, PeersRequest
from shared.contracts.scheduler import HOST_LEASES, NODES, HostLease, NodeRecord
from shared.errors import AlreadyExists, FailedPrecondition, PermissionDenied, Unavailable
from shared.state import MemoryState
from shared.tasks import TaskGroup
from tests.support.waiting import until


class Host:
    """Stands for links, firewall and drivers."""

    def __init__(self) -> None:
        self.links: set[str] = set()
        self.rules: set[str] = set()
        self.told: dict[str, PeersRequest] = {}
        self.joined: list[JoinRequest] = []
        self.broken = False

    def ensure(self, link: Any) -> None:
        self.links.add(link.name)

    def remove(self, name: str) -> None:
        self.links.discard(name)

    def add_bridge(self, rules: Any) -> None:
        self.rules.add(rules.interface)

    def remove_bridge(self, rules: Any) -> None:
        self.rules.discard(rules.interface)

    async def join(self, driver: str, request: JoinRequest) -> None:
        if self.broken:
            raise FailedPrecondition("no such cable")
        self.joined.append(request)

    async def leave(self, driver: str, request: LeaveRequest) -> None:
        self.told.pop(request.network, None)

    async def peers(self, driver: str, request: PeersRequest) -> None:
        self.told[request.network] = request

    def on_restart(self, callback: Callable[[], None]) -> None:
        self.restarted = callback

    def foreign(self, driver: str) -> bool:
        return driver != "overlay"

    def known(self, network_id: str) -> dict[str, str]:
        """MAC to host of what the driver was told last."""
        return {peer.mac: peer.host for peer in self.told[network_id].peers}


class World:
    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.tasks = folder, MemoryState(), TaskGroup("test")
        self.hosts: dict[str, Host] = {}

    async def host(self, node: str, number: int, role: str = "hub") -> Spanning:
        place = f"192.0.2.{number}:7377"
        membership = Membership(cluster="c", address=place, hubs=(place,), hub="hub-1" if role == "hub" else "")
        self.hosts.setdefault(node, Host())
        files = SpecFiles(self.folder / node)
        (self.folder / node).mkdir(exist_ok=True)
        host: Any = self.hosts[node]
        made = Spanning(membership, node, "tst", self.state, self.tasks, host, host, host, files)
        if await self.state.get(NODES, node) is None:
            record = NodeRecord(id=node, name=node, role="hub", address=place, joined=1)
            await self.state.create(NODES, node, value=record)
        await made.open()
        made.resume()
        return made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.tasks.close()


def plan(name: str, subnet: str) -> Callable[[int], NetworkSpec]:
    def planned(number: int) -> NetworkSpec:
        config = (IPAMConfig(subnet=subnet, gateway=subnet.replace("0/24", "1")),)
        return NetworkSpec(
            id=f"{name:0<16}", name=name, created=1, driver="overlay", vni=number, mtu=1450, ipam=IPAM(config=config)
        )

    return planned


def endpoint(spec: NetworkSpec, node: str, last: int) -> EndpointRecord:
    return EndpointRecord(
        id=f"e{last}",
        network_id=spec.id,
        container_id=f"c{last}",
        container_name=f"n{last}",
        node=node,
        mac_address=f"02:42:0a:00:01:{last:02x}",
        ipv4_address=f"10.0.1.{last}/24",
    )


async def test_networks_have_numbers_of_their_own_and_are_seen_by_all(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    made = await asyncio.gather(here.create(plan("one", "10.0.1.0/24")), there.create(plan("two", "10.0.2.0/24")))
    assert len({spec.vni for spec, _ in made}) == 2
    await there.records.catch_up()
    assert {spec.name for spec in there.specs()} == {spec.name for spec in here.specs()} == {"one", "two"}


async def test_of_two_networks_of_one_name_the_first_counts(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)

    def second(number: int) -> NetworkSpec:
        if there.specs():  # as the caller, who looks whether the name is free
            raise AlreadyExists("seen")
        return plan("one", "10.0.2.0/24")(number)

    async def late() -> None:
        with pytest.raises(AlreadyExists):
            await there.create(second)

    (first, _), _ = await asyncio.gather(here.create(plan("one", "10.0.1.0/24")), late())
    await here.records.catch_up()
    assert here.specs() == [first]


async def test_a_bridge_is_there_while_it_is_needed_and_knows_the_others(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    await there.claims.claim(endpoint(spec, "b", 5))
    await here.ensure(spec)
    host = world.hosts["a"]
    assert host.links == host.rules == {"tst-one0000000"}
    assert host.joined[0].host == "192.0.2.1"
    assert host.known(spec.id) == {"02:42:0a:00:01:05": "192.0.2.2"}
    there.claims.retract(endpoint(spec, "b", 5))
    await until(lambda: host.known(spec.id) == {})
    here.busy = lambda network_id: True
    await here.leave_unused(spec.id)
    assert host.links
    here.busy = lambda network_id: False
    await here.leave_unused(spec.id)
    assert not host.links
    assert not host.rules
    assert not here.here()


async def test_frames_go_to_where_a_container_moves_as_soon_as_that_is_decided(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    await world.host("c", 3)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    await there.claims.claim(endpoint(spec, "b", 5))
    await here.ensure(spec)
    host = world.hosts["a"]
    assert host.known(spec.id) == {"02:42:0a:00:01:05": "192.0.2.2"}
    decided = MigrationRecord(
        id="c5", migration="m", name="n5", source="b", target="c", source_name="b", target_name="c", strategy="copy",
        phase="switched",
    )  # fmt: skip
    await world.state.create(MIGRATIONS, "c5", value=decided)
    await until(lambda: host.known(spec.id) == {"02:42:0a:00:01:05": "192.0.2.3"})


async def test_a_network_that_is_being_left_is_left_before_the_end(world: World) -> None:
    here = await world.host("a", 1)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    await here.ensure(spec)
    here.left(spec.id)
    assert world.hosts["a"].links
    await here.settled(20)
    assert not world.hosts["a"].links


async def test_a_driver_that_fails_leaves_nothing(world: World) -> None:
    here = await world.host("a", 1)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    world.hosts["a"].broken = True
    with pytest.raises(FailedPrecondition, match="no such cable"):
        await here.ensure(spec)
    assert not world.hosts["a"].links
    assert not here.here()


async def test_a_foreign_driver_that_begins_anew_is_told_again(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)

    def foreign(number: int) -> NetworkSpec:
        return msgspec.structs.replace(plan("one", "10.0.1.0/24")(number), driver="wire")

    for make in (foreign, plan("two", "10.0.2.0/24")):
        spec, _ = await here.create(make)
        await here.ensure(spec)
    wire = next(spec for spec in here.specs() if spec.driver == "wire")
    await there.records.catch_up()
    await there.claims.claim(endpoint(wire, "b", 5))
    host = world.hosts["a"]
    await until(lambda: bool(host.known(wire.id)))
    host.joined.clear()
    host.told.clear()
    host.restarted()
    await until(lambda: wire.id in host.told)
    assert [request.network for request in host.joined] == [wire.id]


async def test_addresses_that_any_host_has_are_not_chosen(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    spec, revision = await here.create(plan("one", "10.0.1.0/24"))
    await there.records.reached(revision)
    await there.claims.claim(endpoint(spec, "b", 2))
    await until(lambda: bool(here.records.endpoints(spec.id)))
    space = here.space(spec.id)
    assert space is not None
    chosen = space.request(4)
    assert str(chosen.ip) == "10.0.1.3"
    taken = [ip for record in here.records.endpoints(spec.id) for ip in peers.addresses(record)]
    here.release(spec.id, (chosen.ip, *taken))
    assert str(space.request(4).ip) == "10.0.1.3"  # the other's stays taken


async def test_names_of_a_lost_host_are_nobodys_until_it_is_back(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    told: list[tuple[str, str]] = []

    def peer(before: EndpointRecord | None, after: EndpointRecord | None) -> None:
        told.append((before.id if before else "", after.id if after else ""))

    here.on_peer = peer
    spec, _ = await there.create(plan("one", "10.0.1.0/24"))
    await there.claims.claim(endpoint(spec, "b", 2))
    await here.claims.claim(endpoint(spec, "a", 3))
    await until(lambda: told == [("", "e2"), ("", "")])
    lost = await world.state.create(HOST_LEASES, "b", value=HostLease(node="b", lost_by="a"))
    mine = await world.state.create(HOST_LEASES, "a", value=HostLease(node="a", lost_by="b"))
    await here.records.reached(mine)
    assert told[2:] == [("e2", "")]
    await there.claims.claim(endpoint(spec, "b", 4))  # what it says meanwhile
    await until(lambda: told[3:] == [("", "")])
    await here.records.reached(await world.state.update(HOST_LEASES, "b", value=HostLease(node="b"), revision=lost))
    assert sorted(told[4:]) == [("", "e2"), ("", "e4")]


async def test_a_network_in_use_is_not_removed_and_nobody_joins_one_that_is_going(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    await there.claims.claim(endpoint(spec, "b", 5))
    with pytest.raises(PermissionDenied, match="active endpoints"):
        await here.remove(spec)
    there.claims.retract(endpoint(spec, "b", 5))
    await until(lambda: not here.records.endpoints(spec.id))
    await here.remove(spec)
    assert not here.specs()


async def test_what_a_removed_host_had_is_given_back(world: World) -> None:
    here, there = await world.host("a", 1), await world.host("b", 2)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    await there.claims.claim(endpoint(spec, "b", 5))
    await until(lambda: bool(here.records.endpoints(spec.id)))
    await world.state.delete(NODES, "b")
    await until(lambda: not here.records.endpoints(spec.id))
    assert here.records.spec(spec.id) == spec


async def test_a_network_that_is_here_is_known_without_the_hubs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await world.host("a", 1)
    spec, _ = await here.create(plan("one", "10.0.1.0/24"))
    await here.ensure(spec)

    async def nobody(*keys: Any, **named: Any) -> Any:
        raise Unavailable("nobody is there")

    monkeypatch.setattr("services.network.cluster_records.WAIT", 0.01)
    monkeypatch.setattr(world.state, "view", nobody)
    again = await world.host("a", 1)
    await again.restore(spec.id)
    assert again.specs() == [spec]
    assert again.space(spec.id) is not None
    assert again.rules()
    monkeypatch.setattr("services.network.cluster_records.PATIENCE", 0.01)
    with pytest.raises(Unavailable, match="cut off"):
        await again.create(plan("two", "10.0.2.0/24"))
    with pytest.raises(Unavailable, match="cut off"):
        await again.remove(spec)


async def test_hubs_that_are_not_heard_of_yet_are_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As just after joining, and while the hubs elect who leads: such a host is not cut off."""
    view, there, made = world.state.view, asyncio.Event(), []

    async def late(*keys: Any, **named: Any) -> Any:
        await there.wait()
        made.append(await view(*keys, **named))
        return made[0]

    monkeypatch.setattr("services.network.cluster_records.WAIT", 0.01)
    monkeypatch.setattr(world.state, "view", late)
    here = await world.host("a", 1)
    making = asyncio.create_task(here.create(plan("one", "10.0.1.0/24")))
    await asyncio.sleep(0)
    there.set()
    spec, _ = await making
    made[0].become_live(False)
    removing = asyncio.create_task(here.remove(spec))
    await asyncio.sleep(0)
    made[0].become_live(True)
    await removing
    assert not here.specs()
