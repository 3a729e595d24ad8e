import asyncio
from typing import Any

import pytest

from services.network.claims import Claims, Taken
from services.network.cluster_records import ClusterRecords
from shared.contracts.network import CLUSTER_ENDPOINTS, CLUSTER_SPECS, EndpointRecord, NetworkSpec
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import DataLoss, NotFound, ResourceExhausted, Unavailable
from shared.state import MemoryState
from shared.tasks import TaskGroup
from tests.support.waiting import until

NET = NetworkSpec(id="net", name="net", created=1, vni=4097)


class Hubs(MemoryState):
    """Hubs that may be `away`."""

    away = False

    async def create(self, *arguments: Any, **named: Any) -> int:
        self._check()
        return await super().create(*arguments, **named)

    async def get(self, *arguments: Any, **named: Any) -> Any:
        self._check()
        return await super().get(*arguments, **named)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("nobody is there")


class World:
    def __init__(self) -> None:
        self.state, self.tasks = Hubs(), TaskGroup("test")
        self.records = ClusterRecords(self.state, self.tasks)

    async def open(self) -> None:
        self.revision = await self.state.create(CLUSTER_SPECS, "4097", value=NET)
        await self.records.open()

    def claims(self, node: str) -> Claims:
        return Claims(self.state, node, self.tasks, self.records, pause=0.01)

    async def holder(self, address: str = "10.0.1.2") -> str:
        entry = await MemoryState.get(self.state, CLUSTER_ENDPOINTS, "net", address)
        return f"{entry.value.node}/{entry.value.id}" if entry is not None else ""

    async def becomes(self, holder: str, address: str = "10.0.1.2") -> None:
        async def is_it() -> bool:
            return await self.holder(address) == holder

        async with asyncio.timeout(10):
            while not await is_it():  # noqa: ASYNC110 - hubs tell only views
                await asyncio.sleep(0.001)


@pytest.fixture
async def world():
    made = World()
    await made.open()
    yield made
    await made.tasks.close()


def endpoint(node: str, id: str = "e", names: tuple[str, ...] = (), six: str = "") -> EndpointRecord:
    return EndpointRecord(
        id=id,
        network_id="net",
        container_id=f"c{id}",
        container_name="web",
        node=node,
        ipv4_address="10.0.1.2/24",
        ipv6_address=six and f"{six}/64",
        dns_names=names,
    )


async def test_an_address_has_one_owner(world: World) -> None:
    here, there = world.claims("here"), world.claims("there")
    await here.claim(endpoint("here"))
    await here.claim(endpoint("here"))  # again is fine
    with pytest.raises(Taken) as refused:
        await there.claim(endpoint("there", "f"))
    assert refused.value.address == "10.0.1.2"
    assert [record.node for record in world.records.endpoints("net")] == ["here"]
    here.retract(endpoint("here"))
    await world.becomes("")
    await there.claim(endpoint("there", "f"))
    assert await world.holder() == "there/f"


async def test_of_two_addresses_none_is_kept_where_one_is_taken(world: World) -> None:
    await world.claims("there").claim(endpoint("there", "f"))
    here = world.claims("here")
    one = EndpointRecord(
        id="e",
        network_id="net",
        container_id="c",
        container_name="c",
        node="here",
        ipv4_address="10.0.1.9/24",
        ipv6_address="",
    )
    await here.claim(one)
    with pytest.raises(Taken):
        await here.claim(endpoint("here", "g", six="fd00::2"))
    assert await world.holder("fd00::2") == ""
    assert await world.holder() == "there/f"


async def test_what_a_crash_left_is_taken_over_and_swept(world: World) -> None:
    await world.claims("here").claim(endpoint("here", "old"))
    again = world.claims("here")
    await again.claim(endpoint("here", "new"))
    assert await world.holder() == "here/new"
    third = world.claims("here")
    await until(lambda: [record.id for record in world.records.endpoints("net")] == ["new"])
    third.sweep()
    await world.becomes("")


async def test_nobody_comes_to_a_network_that_is_being_removed(world: World) -> None:
    marked = NetworkSpec(id="net", name="net", created=1, vni=4097, removing="there")
    await world.state.update(CLUSTER_SPECS, "4097", value=marked, revision=world.revision)
    with pytest.raises(NotFound):
        await world.claims("here").claim(endpoint("here"))
    await world.becomes("")


async def test_without_the_hubs_nothing_is_claimed_and_what_is_given_back_is_told_later(world: World) -> None:
    here = world.claims("here")
    await here.claim(endpoint("here"))
    world.state.away = True
    with pytest.raises(Unavailable, match="cut off"):
        await here.claim(endpoint("here", "f"))
    here.retract(endpoint("here"))
    world.state.away = False
    await world.becomes("")


async def test_what_the_hubs_do_not_know_to_be_given_back_may_be_had_again_without_them(world: World) -> None:
    here = world.claims("here")
    await here.claim(endpoint("here"))
    assert not here.kept(endpoint("here"))
    world.state.away = True
    here.retract(endpoint("here"))
    assert here.kept(endpoint("here"))
    await here.claim(endpoint("here"))
    assert not here.kept(endpoint("here"))
    world.state.away = False
    await world.tasks.drain(5)
    assert await world.holder() == "here/e"
    here.retract(endpoint("here"))
    await world.becomes("")
    await world.tasks.drain(5)
    assert not here.kept(endpoint("here"))


async def test_a_change_is_told_and_what_is_anothers_is_left_alone(world: World) -> None:
    here, there = world.claims("here"), world.claims("there")
    await here.claim(endpoint("here"))
    here.tell(endpoint("here", names=("other",)))
    await until(lambda: world.records.endpoints("net")[0].dns_names == ("other",))
    there.tell(endpoint("there", "f"))
    there.retract(endpoint("there", "f"))
    await world.tasks.drain(5)
    assert await world.holder() == "here/e"


async def test_addresses_of_a_host_that_is_no_more_are_freed(world: World) -> None:
    await world.claims("gone").claim(endpoint("gone"))
    await world.claims("here").reclaim([endpoint("other"), endpoint("gone")])
    assert await world.holder() == ""


async def test_addresses_of_a_host_that_a_hub_does_not_show_yet_are_its_own(world: World) -> None:
    await world.claims("there").claim(endpoint("there"))
    record = NodeRecord(id="there", name="there", role="leaf", address="192.0.2.1:7377", joined=1)
    await world.state.create(NODES, "there", value=record)
    await world.claims("here").reclaim([endpoint("there")])
    assert await world.holder() == "there/e"


async def test_full_hubs_are_told_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of what was to be told at the same time."""
    here = world.claims("here")
    await here.claim(endpoint("here"))
    failures = iter((ResourceExhausted("full"), ResourceExhausted("full"), DataLoss("what is that")))
    delete = world.state.delete

    async def full(*place: Any, **more: Any) -> int:
        if (failure := next(failures, None)) is not None:
            raise failure
        return await delete(*place, **more)

    monkeypatch.setattr(world.state, "delete", full)
    here.retract(endpoint("here"))
    await until(lambda: not here._running, 60)
    assert await world.holder() == "here/e"  # what cannot be told is given up
    here.retract(endpoint("here"))
    await world.becomes("")
    await here.claim(endpoint("here"))
    failures = iter((ResourceExhausted("full"),))
    await world.claims("hub").reclaim((endpoint("here"),))
    assert await world.holder() == ""


async def test_an_address_that_is_given_back_and_kept_is_seen_all_the_time(world: World) -> None:
    """The hubs, which were away, answer when the container has been started again."""
    here = world.claims("here")
    await here.claim(endpoint("here", "e"))
    seen: list[bool] = []
    world.records.on_address = lambda network, address, taken: seen.append(taken)
    get, asked, answering = world.state.get, asyncio.Event(), asyncio.Event()

    async def late(*place: Any, **more: Any) -> Any:
        asked.set()
        await answering.wait()
        return await get(*place, **more)

    world.state.get = late  # type: ignore[method-assign]
    here.retract(endpoint("here", "e"))
    await asked.wait()
    await here.claim(endpoint("here", "f"))
    answering.set()
    await world.becomes("here/f")
    assert seen == [True]


async def test_who_ends_waits_until_what_it_gave_back_is_told_but_not_for_ever(world: World) -> None:
    claims = world.claims("here")
    await claims.settled(10)
    await claims.claim(endpoint("here"))
    claims.retract(endpoint("here"))
    await claims.settled(10)
    assert await world.holder() == ""
    world.state.away = True
    claims.tell(endpoint("here"))
    await claims.settled(0.01)
    assert await world.holder() == ""
