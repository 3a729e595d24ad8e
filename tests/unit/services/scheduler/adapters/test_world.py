from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from services.scheduler.adapters.world import FAMILIES, World
from services.scheduler.domain.facts import Ask, Load
from shared.contracts import executor, image_store, network, volume
from shared.contracts.base import Keys
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig
from shared.contracts.image_store import ReferenceRecord
from shared.contracts.network import NetworkSpec
from shared.contracts.scheduler import NODES, NodeRecord
from shared.contracts.volume import VolumeSpec
from shared.errors import FailedPrecondition
from shared.state import MemoryState
from shared.state.view import View
from tests.support.waiting import until

GIB = 1 << 30


def record(node: str) -> NodeRecord:
    return NodeRecord(
        id=node, name=f"{node}-name", role="leaf", address="192.0.2.1:7377", joined=1, memory=GIB, cpus=2_000_000_000
    )


def container(id: str, name: str, memory: int = 0) -> ContainerSpec:
    return ContainerSpec(id=id, name=name, created=1, config=ContainerConfig(), host_config=HostConfig(memory=memory))


@pytest.fixture
def state() -> MemoryState:
    made = MemoryState()
    made.hosts = {"n2": MemoryState(), "n3": MemoryState()}
    return made


@pytest.fixture
async def world(state: MemoryState) -> AsyncIterator[World]:
    for node in ("n1", "n2"):
        await state.create(NODES, node, value=record(node))
    made = World(state, "n1", await state.view(NODES))
    await state.hosts["n2"].create(executor.SPECS, "c2", value=container("c2", "two", GIB))
    await made.open()
    yield made
    await made.close()


async def test_who_is_heard_of_is_told(state: MemoryState, world: World) -> None:
    told: list[tuple[str, ...]] = []
    world.on_heard(lambda: told.append(world.reachable()))
    assert (world.containers_of("n2"), world.containers_of("n1"), world.containers_of("n3")) == (1, 0, 0)
    await state.create(NODES, "n3", value=record("n3"))
    await until(lambda: bool(told), 60)
    assert set(told[-1]) == {"n1", "n2", "n3"}


async def test_what_is_where_is_followed(state: MemoryState, world: World) -> None:
    other = state.hosts["n2"]
    assert (world.host_of("two"), world.host_of("/two"), world.host_of("c"), world.host_of("x")) == (
        "n2",
        "n2",
        "n2",
        "",
    )
    assert world.fleet.decide(Ask()) == "n1"
    await other.create(volume.SPECS, "n2", "data", value=VolumeSpec(name="data"))
    await other.create(network.SPECS, "i1", value=NetworkSpec(id="i1", name="back", created=1))
    await other.create(network.SPECS, "i2", value=NetworkSpec(id="i2", name="wide", created=1, scope="global"))
    named = ReferenceRecord(reference="docker.io/library/a:1", image_id="sha256:1")
    await other.create(image_store.REFERENCES, "n2", "docker.io/library/a:1", value=named)
    await until(lambda: bool(world.with_image("sha256:1")), 60)
    assert world.with_volume("data") == world.with_network("back") == world.with_network("i1") == frozenset(("n2",))
    assert world.with_network("wide") == frozenset()
    assert not world.spans("wide")
    across = NetworkSpec(id="i3", name="wide", created=1, scope="swarm", vni=4097)
    await state.create(network.CLUSTER_SPECS, "4097", value=across)
    await until(lambda: world.spans("wide") and world.spans("i3"), 60)
    assert world.names_lacking("sha256:1", "n1") == ("docker.io/library/a:1",)
    assert world.names_lacking("sha256:1", "n2") == ()
    taken = ReferenceRecord(reference="docker.io/library/a:1", image_id="sha256:2")
    revision = await state.create(image_store.REFERENCES, "n1", "docker.io/library/a:1", value=taken)
    view = world.view("n1")
    assert view is not None
    await view.reached(revision)
    assert world.names_lacking("sha256:1", "n1") == ()  # there the name means another image
    await other.delete(volume.SPECS, "n2", "data")
    await other.delete(executor.SPECS, "c2")
    await until(lambda: not world.with_volume("data") and not world.host_of("two"), 60)


async def test_hosts_come_go_and_fall_silent(state: MemoryState, world: World) -> None:
    assert world.hosts_called("n2-name") == world.hosts_called("n2") == frozenset(("n2",))
    await state.create(NODES, "n3", value=record("n3"))
    await until(lambda: world.view("n3") is not None, 60)
    view = world.view("n2")
    assert view is not None
    view.become_live(False)
    assert set(world.reachable()) == {"n1", "n3"}
    for node in ("n1", "n3"):
        world.fleet.put(f"full{node}", node, world.fleet._where["c2"][1])
    with pytest.raises(
        FailedPrecondition, match="1 node not available for new tasks; insufficient resources on 2 nodes"
    ):
        world.fleet.decide(Ask(load=Load(memory=1)))
    await state.delete(NODES, "n2")
    await until(lambda: world.view("n2") is None, 60)
    assert (world.host_of("two"), world.hosts_called("n2")) == ("", frozenset())


async def test_who_was_not_heard_of_yet_may_have_anything(
    state: MemoryState, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, silent, over = state.view, View(*FAMILIES), asyncio.Event()
    silent.become_live(False)

    async def waited_for(*keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        if host != "n3":
            return await view(*keys, host=host, wait=wait)
        await over.wait()
        return silent

    monkeypatch.setattr(state, "view", waited_for)
    assert world.unseen() == ()
    await state.create(NODES, "n3", value=record("n3"))
    await until(lambda: bool(world.unseen()), 60)
    settled = asyncio.ensure_future(world.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    over.set()
    await settled
    assert (world.view("n3"), world.unseen()) == (silent, ("n3-name",))
    for live in (True, False):
        silent.become_live(live)
        assert world.unseen() == ()
    await state.delete(NODES, "n3")
    await until(lambda: world.view("n3") is None, 60)
    await state.create(NODES, "n3", value=record("n3"))
    await until(lambda: world.view("n3") is silent, 60)
    assert world.unseen() == ("n3-name",)


async def test_a_container_that_moves_is_counted_once(state: MemoryState, world: World) -> None:
    """Its record at the target is there before the one at the source has gone."""
    await state.create(executor.SPECS, "c2", value=container("c2", "two", GIB))
    await until(lambda: world.host_of("two") == "n1", 60)
    await state.hosts["n2"].delete(executor.SPECS, "c2")
    view = world.view("n2")
    assert view is not None
    await until(lambda: not view.count(executor.SPECS), 60)
    assert world.host_of("two") == "n1"
    assert (world.fleet.containers("n1"), world.fleet.containers("n2")) == (1, 0)


async def test_a_host_that_changes_while_it_is_waited_for_is_watched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    state, asked, let_go = MemoryState(), list[str](), asyncio.Event()
    state.hosts["n2"] = MemoryState()
    view = state.view

    async def slow(*keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        if host:
            asked.append(host)
            await let_go.wait()
        return await view(*keys, host=host, wait=wait)

    monkeypatch.setattr(state, "view", slow)
    nodes = await view(NODES)
    world = World(state, "n1", nodes)
    await world.open()
    revision = await state.create(NODES, "n2", value=record("n2"))
    await until(lambda: bool(asked), 60)
    await state.update(NODES, "n2", value=msgspec.structs.replace(record("n2"), role="hub"), revision=revision)
    await until(lambda: any(entry.value.role == "hub" for _, entry in nodes.items(NODES)), 60)
    let_go.set()
    await until(lambda: world.view("n2") is not None, 60)
    await world.close()
    assert asked == ["n2"]


async def test_a_container_is_where_it_was_started_last(state: MemoryState, world: World) -> None:
    """Whatever its old host says when it is back."""
    own = await state.create(executor.SPECS, "m", value=msgspec.structs.replace(container("m", "m"), generation=2))
    old = await state.hosts["n2"].create(
        executor.SPECS, "m", value=msgspec.structs.replace(container("m", "m"), generation=1)
    )
    for node, revision in (("n1", own), ("n2", old)):
        view = world.view(node)
        assert view is not None
        await view.reached(revision)
    assert world.host_of("m") == "n1"
    view = world.view("n2")
    assert view is not None
    await view.reached(await state.hosts["n2"].delete(executor.SPECS, "m"))
    assert world.host_of("m") == "n1"
