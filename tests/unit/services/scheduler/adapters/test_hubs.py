"""A host's membership follows the records. (With real hubs: tests/system/test_cluster_containers.)"""

import asyncio

import msgspec
import pytest

from services.scheduler.adapters.door import Door
from services.scheduler.adapters.hubs import ALL, Hubs
from shared import cluster, pki
from shared.bus import MemoryBroker
from shared.cluster import Member, Membership
from shared.contracts.base import Contract
from shared.contracts.scheduler import (
    AUTHORITY,
    HUBS,
    NODES,
    AuthorityReply,
    AuthorityRequest,
    HubsRecord,
    JoinReply,
    JoinRequest,
    NodeRecord,
)
from shared.errors import Unavailable
from shared.state import MemoryState
from shared.testing import kernel, serving
from tests.support.certified import certify
from tests.support.ports import free_port
from tests.support.waiting import until

FIRST = Membership(cluster="c1", address="192.0.2.1:7377", hubs=("192.0.2.2:7377",))


def node(number: int) -> NodeRecord:
    address = f"192.0.2.{number}:7377"
    return NodeRecord(
        id=f"node{number}", name=f"name{number}", role="leaf", address=address, joined=number, link="U", pin="p"
    )


class Other:
    """A hub on another host that gives the authority's key away."""

    async def authority(self, request: AuthorityRequest) -> AuthorityReply:
        return AuthorityReply(sealed=pki.seal(b"the key", request.request.encode()))


@pytest.fixture
async def state():
    made = MemoryState()
    for number in (1, 2):
        await made.create(NODES, f"node{number}", value=node(number))
    await made.create(HUBS, ALL, value=HubsRecord(hubs={"node2": "hub-2"}))
    return made


@pytest.fixture
async def world(directory, state):
    """The kernel of node1, and what its membership became."""
    broker, became = MemoryBroker(), list[Membership | None]()

    async def changed(membership: Membership | None) -> None:
        became.append(membership)

    async with (
        kernel("scheduler", directory, broker, state) as made,
        kernel("scheduler", directory / "2", broker, state, node="node2") as other,
        serving(other, Contract(name="scheduler", version="v1", summary="", endpoints=(AUTHORITY,)), Other()),
    ):
        files = cluster.folder(made.settings.state_path)
        certify(files)
        (files / "ca.key").unlink()
        cluster.save(made.settings.state_path, FIRST)
        hubs = Hubs(made, await state.view(NODES, HUBS), lambda: ("node1", "node2"), lambda heard: None, changed)
        hubs.open()
        yield made, became
        await hubs.close()


async def replace(state: MemoryState, hubs: dict[str, str]) -> None:
    present = await state.get(HUBS, ALL)
    assert present is not None
    await state.update(HUBS, ALL, value=HubsRecord(hubs=hubs), revision=present.revision)


async def test_a_leaf_that_becomes_a_hub_gets_the_authoritys_key_and_who_is_let_in(world, state):
    made, became = world
    await replace(state, {"node1": "hub-1", "node2": "hub-2"})
    await until(lambda: bool(became))
    assert became == [cluster.load(made.settings.state_path)]
    assert (became[0].hub, became[0].hubs) == ("hub-1", ("192.0.2.1:7377", "192.0.2.2:7377"))
    assert (cluster.folder(made.settings.state_path) / "ca.key").read_bytes() == b"the key"
    assert cluster.members(made.settings.state_path) == tuple(
        Member(id=id, link="U", pin="p", hub=True) for id in ("node1", "node2")
    )


async def test_other_hubs_are_written_down(world, state):
    made, became = world
    await state.create(NODES, "node3", value=node(3))
    await replace(state, {"node3": "hub-3"})
    await until(lambda: bool(became))
    assert became[0] == cluster.load(made.settings.state_path)
    assert became[0].hubs == ("192.0.2.3:7377",)


async def test_a_host_whose_record_goes_is_alone_again(world, state):
    made, became = world
    await state.delete(NODES, "node1")
    await until(lambda: became == [None])
    assert cluster.load(made.settings.state_path) is None


async def test_a_host_that_sees_its_record_go_and_may_ask_no_more_is_alone_again(world, state, monkeypatch):
    async def cut_off(*asked, **more):
        raise Unavailable("cut off")

    made, became = world
    monkeypatch.setattr(state, "get", cut_off)
    await state.delete(NODES, "node1")
    await until(lambda: became == [None])
    assert cluster.load(made.settings.state_path) is None


async def test_a_hub_that_is_behind_removes_no_host(world, state, monkeypatch):
    """A watch that begins anew there shows what it has; the record is asked for."""
    made, became = world
    asked, get = asyncio.Event(), state.get

    async def ask(keys, *parts, host=""):
        found = await get(keys, *parts, host=host)
        if parts == ("node1",):
            asked.set()
        return found

    monkeypatch.setattr(state, "get", ask)
    for view in state._views:
        view.retain({HUBS.key(ALL), NODES.key("node2")})
    await asyncio.wait_for(asked.wait(), 60)
    await asyncio.sleep(0)
    assert (became, cluster.load(made.settings.state_path) is None) == ([], False)


async def test_a_host_that_sees_nothing_stays_a_member(directory):
    """A view that is not complete is no sign of removal: the record itself is asked for."""

    class Away(MemoryState):
        asked = asyncio.Event()

        async def get(self, keys, *parts, host=""):
            self.asked.set()
            return await super().get(keys, *parts, host=host)

    state = Away()
    async with kernel("scheduler", directory, state=state) as made:
        cluster.save(made.settings.state_path, FIRST)
        hubs = Hubs(
            made, await state.view(NODES, HUBS), lambda: (), lambda heard: None, lambda membership: asyncio.sleep(0)
        )
        hubs.open()
        await state.asked.wait()
        await hubs.close()
        assert cluster.load(made.settings.state_path) == FIRST


@pytest.mark.parametrize("removed", [True, False])
async def test_a_host_that_is_cut_off_asks_at_a_hubs_door_whether_it_still_is_in(directory, removed):
    state, asked = MemoryState(), asyncio.Event()
    await state.create(NODES, "node1", value=node(1))

    async def admit(request: JoinRequest) -> JoinReply:
        assert request == JoinRequest(node="node1")
        asked.set()
        return JoinReply(removed=removed, cluster="c1")

    async with kernel("scheduler", directory, state=state) as made:
        files = cluster.folder(made.settings.state_path)
        certify(files)
        door, port = Door(files, admit), free_port()
        await door.open("127.0.0.1", port)
        mine = msgspec.structs.replace(FIRST, hubs=(f"127.0.0.1:{port}",))
        cluster.save(made.settings.state_path, mine)
        became = asyncio.Queue[Membership | None]()
        view = await state.view(NODES, HUBS)
        view.become_live(False)
        hubs = Hubs(made, view, lambda: (), lambda heard: None, became.put)
        hubs.open()
        await asked.wait()
        if removed:
            assert await became.get() is None
        await hubs.close()
        await door.close()
        assert cluster.load(made.settings.state_path) == (None if removed else mine)
