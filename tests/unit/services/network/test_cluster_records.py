import msgspec

from services.network.cluster_records import ClusterRecords
from shared.contracts.migrator import MIGRATIONS, MigrationRecord
from shared.contracts.network import CLUSTER_ENDPOINTS, CLUSTER_SPECS, EndpointRecord, NetworkSpec
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import Unavailable
from shared.state import MemoryState
from shared.tasks import TaskGroup

NET = NetworkSpec(id="net", name="net", created=1, vni=4097)


def endpoint(id: str, four: str = "10.0.1.2", six: str = "fd00::2", node: str = "there") -> EndpointRecord:
    return EndpointRecord(
        id=id,
        network_id="net",
        container_id="c",
        container_name="web",
        node=node,
        ipv4_address=f"{four}/24",
        ipv6_address=f"{six}/64",
    )


def host(id: str, address: str) -> NodeRecord:
    return NodeRecord(id=id, name=id, role="leaf", address=address, joined=1)


async def test_an_endpoint_is_there_while_it_has_an_address() -> None:
    state, tasks = MemoryState(), TaskGroup("test")
    records = ClusterRecords(state, tasks)
    seen: list[tuple[object, object]] = []
    records.on_endpoint = lambda before, after: seen.append((before, after))
    await records.open()
    web = endpoint("web")
    for address in ("10.0.1.2", "fd00::2"):
        last = await state.create(CLUSTER_ENDPOINTS, "net", address, value=web)
    await records.reached(last)
    assert records.endpoints("net") == [web]
    await records.reached(await state.delete(CLUSTER_ENDPOINTS, "net", "10.0.1.2"))
    assert records.networks_in_use() == ["net"]
    await records.reached(await state.delete(CLUSTER_ENDPOINTS, "net", "fd00::2"))
    assert not records.networks_in_use()
    assert seen == [(None, web), (web, None)]
    await tasks.close()


async def test_an_address_that_passes_to_another_endpoint_ends_the_first() -> None:
    state, tasks = MemoryState(), TaskGroup("test")
    records = ClusterRecords(state, tasks)
    await records.open()
    first = await state.create(CLUSTER_ENDPOINTS, "net", "10.0.1.2", value=endpoint("one", six=""))
    last = await state.update(
        CLUSTER_ENDPOINTS, "net", "10.0.1.2", value=endpoint("two", six="", node="here"), revision=first
    )
    await records.reached(last)
    assert [record.id for record in records.endpoints("net")] == ["two"]
    await tasks.close()


async def test_networks_and_hosts_are_followed() -> None:
    state, tasks = MemoryState(), TaskGroup("test")
    await state.create(NODES, "a", value=host("a", "192.0.2.1:7377"))
    revision = await state.create(CLUSTER_SPECS, "4097", value=NET)
    records = ClusterRecords(state, tasks)
    networks: list[tuple[object, object]] = []
    records.on_network = lambda before, after: networks.append((before, after))
    await records.open()
    assert (records.specs(), records.spec("net"), records.revision(NET)) == ([NET], NET, revision)
    await state.create(NODES, "b", value=host("b", "a.name:7377"))
    await state.create(NODES, "c", value=host("c", "[fd00::9]:7377"))
    await state.delete(NODES, "a")
    await records.reached(await state.delete(CLUSTER_SPECS, "4097"))
    assert records.hosts() == {"c": "fd00::9"}
    assert [records.is_host(node) for node in "abc"] == [False, True, True]
    assert networks == [(None, NET), (NET, None)]
    assert records.revision(NET) == 0
    await tasks.close()


async def test_catching_up_shows_what_was_just_made() -> None:
    state, tasks = MemoryState(), TaskGroup("test")
    records = ClusterRecords(state, tasks)
    await records.catch_up()
    await records.open()
    await state.create(CLUSTER_SPECS, "4097", value=NET)
    assert records.specs() == []
    await records.catch_up()
    assert records.specs() == [NET]
    await tasks.close()


class Away(MemoryState):
    """Hubs that are away until they are `there`."""

    there = False

    async def view(self, *keys, host="", wait=None):
        if not self.there:
            raise Unavailable("nobody is there")
        return await super().view(*keys, host=host, wait=wait)


async def test_hubs_that_come_later_are_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("services.network.cluster_records.WAIT", 0.01)
    monkeypatch.setattr("services.network.cluster_records.PAUSE", 0.01)
    state, tasks = Away(), TaskGroup("test")
    records = ClusterRecords(state, tasks)
    await records.open()
    assert (records.complete, records.specs()) == (False, [])
    state.there = True
    assert await records.live()
    assert records.complete
    await tasks.close()


async def test_of_a_container_whose_move_is_decided_the_target_is_the_place() -> None:
    """Until the address's record says where it is, or the move is taken back after all."""
    state, tasks = MemoryState(), TaskGroup("test")
    records = ClusterRecords(state, tasks)
    told: list[str] = []
    records.on_moved = told.append
    await records.open()
    await state.create(CLUSTER_ENDPOINTS, "net", "10.0.1.2", value=endpoint("web", six=""))
    moving = MigrationRecord(
        id="c",
        migration="m",
        name="web",
        source="there",
        target="here",
        source_name="",
        target_name="",
        strategy="copy",
    )
    revision = await state.create(MIGRATIONS, "c", value=moving)
    await records.reached(revision)
    assert ([record.node for record in records.placed("net")], told) == (["there"], [])
    decided = msgspec.structs.replace(moving, phase="switched")
    await records.reached(await state.update(MIGRATIONS, "c", value=decided, revision=revision))
    assert ([record.node for record in records.placed("net")], told) == (["here"], ["net"])
    assert [record.node for record in records.endpoints("net")] == ["there"]
    await records.reached(await state.delete(MIGRATIONS, "c"))
    assert ([record.node for record in records.placed("net")], told) == (["there"], ["net", "net"])
    onward = msgspec.structs.replace(decided, source="elsewhere")
    await records.reached(await state.create(MIGRATIONS, "c", value=onward))
    assert [record.node for record in records.placed("net")] == ["there"]
    await tasks.close()
