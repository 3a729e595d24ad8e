from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from services.scheduler.adapters import placing
from services.scheduler.adapters.placing import Placing
from services.scheduler.adapters.world import World
from shared.bus import MemoryBroker
from shared.contracts import executor, image_store, scheduler
from shared.contracts.base import Contract, Empty
from shared.contracts.common import Descriptor, Platform
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig
from shared.contracts.executor import CreateReply, CreateRequest
from shared.contracts.image_store import Image, ReferenceRecord, ResolveRequest
from shared.contracts.peers import FetchReply, FetchRequest
from shared.contracts.scheduler import NODES, BringRequest, ChooseRequest
from shared.errors import Conflict, FailedPrecondition, NotFound, Unavailable
from shared.state import MemoryState
from shared.testing import kernel, serving
from tests.support.gateways import as_far_as
from tests.support.waiting import until
from tests.unit.services.scheduler.adapters.test_world import GIB, record

MANIFEST = Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest="sha256:" + "a" * 64, size=9)
IMAGE = Image(id="sha256:1", descriptor=MANIFEST)


class Here:
    """A scheduler that shows that it is there, or is silent; `asked`: how often it was asked then."""

    def __init__(self) -> None:
        self.silent, self.asked = False, 0

    async def here(self, request: Empty) -> Empty:
        if self.silent:
            self.asked += 1
            await asyncio.Event().wait()
        return Empty()


@dataclass
class Node:
    """An image store and an executor that write down what they are asked."""

    state: MemoryState
    images: dict[str, Image] = field(default_factory=dict)
    resolved: list[ResolveRequest] = field(default_factory=list)
    fetched: list[FetchRequest] = field(default_factory=list)
    created: list[CreateRequest] = field(default_factory=list)
    scheduler: Here = field(default_factory=Here)

    async def resolve(self, request: ResolveRequest) -> Image:
        self.resolved.append(request)
        if request.reference not in self.images:
            raise NotFound(f"No such image: {request.reference}")
        return self.images[request.reference]

    async def fetch(self, request: FetchRequest) -> FetchReply:
        self.fetched.append(request)
        return FetchReply(image_id="sha256:1")

    async def create(self, request: CreateRequest) -> CreateReply:
        if request.name == "taken":
            raise Conflict("taken")
        self.created.append(request)
        spec = ContainerSpec(
            id=request.name, name=request.name, created=1, config=request.config, host_config=request.host_config
        )
        revision = await self.state.create(executor.SPECS, spec.id, value=spec)
        return CreateReply(id=spec.id, name=spec.name, revision=revision)


@dataclass
class Cluster:
    world: World
    placing: Placing
    one: Node
    two: Node
    broker: MemoryBroker


@pytest.fixture
async def cluster(directory: Path) -> AsyncIterator[Cluster]:
    """Two hosts; the second has the image."""
    broker, own, far = MemoryBroker(), MemoryState(), MemoryState()
    own.hosts["n2"] = far
    one, two = Node(own), Node(far, {"i": IMAGE})
    for node in ("n1", "n2"):
        await own.create(NODES, node, value=record(node))
    await far.create(
        image_store.REFERENCES, "n2", "docker.io/library/i:latest",
        value=ReferenceRecord(reference="docker.io/library/i:latest", image_id="sha256:1"),
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        contracts: tuple[Contract, ...] = (image_store.CONTRACT, executor.CONTRACT)
        for name, host in (("n1", one), ("n2", two)):
            at = await stack.enter_async_context(kernel(name, directory, broker, own, node=name))
            for contract in contracts:
                await stack.enter_async_context(serving(at, as_far_as(contract, host), host))
            here = as_far_as(scheduler.CONTRACT, host.scheduler)
            await stack.enter_async_context(serving(at, here, host.scheduler))
        mine = await stack.enter_async_context(kernel("scheduler", directory, broker, own, node="n1"))
        world = World(own, "n1", await own.view(NODES))
        await world.open()
        yield Cluster(world, Placing(mine, world, lambda: True), one, two, broker)
        await world.close()


def asked(name: str, image: str = "i", memory: int = 0) -> CreateRequest:
    return CreateRequest(name=name, config=ContainerConfig(image=image), host_config=HostConfig(memory=memory))


async def test_containers_are_spread_and_their_image_is_brought(cluster: Cluster) -> None:
    first = await cluster.placing.create(asked("a"))
    second = await cluster.placing.create(asked("b"))
    assert (first.node, second.node) == ("n2", "n1")
    assert [request.image_id for request in cluster.one.created + cluster.two.created] == ["sha256:1", "sha256:1"]
    assert cluster.two.fetched == []
    wanted = FetchRequest(manifest=MANIFEST, nodes=("n2",), names=("docker.io/library/i:latest",))
    assert cluster.one.fetched == [wanted]


async def test_who_has_not_heard_which_hosts_there_are_refuses_for_now(cluster: Cluster) -> None:
    """Also where an image is missed: others may have it."""
    empty = MemoryState()
    world = World(empty, "n1", await empty.view(NODES))
    await world.open()
    unaware = Placing(cluster.placing._kernel, world, lambda: True)
    spec = ContainerSpec(id="a", name="a", created=1, config=ContainerConfig(), host_config=HostConfig())
    with pytest.raises(Unavailable, match="not heard from its cluster yet"):
        await unaware.create(asked("a"))
    with pytest.raises(Unavailable):
        unaware.choose(ChooseRequest(spec=spec))
    with pytest.raises(Unavailable):
        await unaware.bring_here(BringRequest(reference="i"))
    await world.close()


async def test_what_is_decided_counts_at_once_and_once(cluster: Cluster) -> None:
    for name in "ab":
        await cluster.placing.create(asked(name, memory=GIB))
    with pytest.raises(FailedPrecondition, match="insufficient resources on 2 nodes"):
        await cluster.placing.create(asked("c", memory=GIB))
    fleet = cluster.world.fleet
    await until(lambda: not [key for key in fleet._where if key.startswith("pending")], 60)
    assert (fleet.containers("n1"), fleet.containers("n2")) == (1, 1)


async def test_what_was_not_made_reserves_nothing(cluster: Cluster) -> None:
    for _ in range(3):
        with pytest.raises(Conflict):
            await cluster.placing.create(asked("taken", memory=GIB))
    assert cluster.world.fleet._where == {}
    assert (await cluster.placing.create(asked("free", memory=GIB))).name == "free"


async def test_a_host_that_does_not_answer_is_passed_over(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to make nothing, and for a while not even whether it is there; what is bound to it is refused."""
    monkeypatch.setattr(placing, "PATIENCE", 0.05)
    monkeypatch.setattr(placing, "AVOID_SECONDS", 60.0)
    cluster.two.scheduler.silent = True
    assert [(await cluster.placing.create(asked(name))).node for name in "abc"] == ["n1", "n1", "n1"]
    assert (cluster.two.scheduler.asked, cluster.two.created) == (1, [])
    bound = msgspec.structs.replace(asked("d"), config=ContainerConfig(image="i", labels={"shoal.node": "n2"}))
    with pytest.raises(FailedPrecondition, match="1 node not answering"):
        await cluster.placing.create(bound)
    cluster.two.scheduler.silent = False
    cluster.placing._silent.clear()
    assert (await cluster.placing.create(asked("e"))).node == "n2"


async def test_what_nothing_binds_to_a_host_may_be_movable(cluster: Cluster) -> None:
    bound = msgspec.structs.replace(asked("b"), config=ContainerConfig(image="i", labels={"shoal.node": "n2"}))
    for request in (asked("a"), bound):
        await cluster.placing.create(request)
    made = {request.name: request.movable for request in cluster.one.created + cluster.two.created}
    assert made == {"a": True, "b": False}


async def test_an_image_that_no_host_has_is_missed_in_this_hosts_words(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match="No such image: nowhere"):
        await cluster.placing.create(asked("a", image="nowhere"))
    assert (await cluster.placing.create(asked("a", image=""))).node == "n1"


async def test_an_image_is_brought_to_this_host_under_the_names_it_has_elsewhere(cluster: Cluster) -> None:
    arm = Platform(architecture="arm64")
    assert await cluster.placing.bring_here(BringRequest(reference="i", platform=arm)) == "sha256:1"
    assert cluster.one.resolved == cluster.two.resolved == [ResolveRequest(reference="i", platform=arm)]
    wanted = FetchRequest(manifest=MANIFEST, nodes=("n2",), names=("docker.io/library/i:latest",))
    assert (cluster.one.fetched, cluster.two.fetched) == ([wanted], [])
    with pytest.raises(NotFound, match="No such image: nowhere"):
        await cluster.placing.bring_here(BringRequest(reference="nowhere"))


@pytest.mark.parametrize("reference", ["app", "app:latest", "docker.io/library/app", "index.docker.io/app:latest"])
async def test_an_image_is_brought_under_the_name_that_was_asked_for(cluster: Cluster, reference: str) -> None:
    """However it is written: nobody may have a record of it yet."""
    cluster.two.images[reference] = msgspec.structs.replace(IMAGE, repo_tags=("other:1", "app:latest"))
    await cluster.placing.bring_here(BringRequest(reference=reference))
    assert cluster.one.fetched[0].names == ("docker.io/library/i:latest", "app:latest")


async def test_which_image_others_mean_is_not_guessed(
    cluster: Cluster, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, far, wanted = cluster.one.state, MemoryState(), BringRequest(reference="i")
    own.hosts["n3"] = far
    three = Node(far, {"i": msgspec.structs.replace(IMAGE, id="sha256:3")})
    await own.create(NODES, "n3", value=record("n3"))
    await until(lambda: "n3" in cluster.world.reachable(), 60)
    async with (
        kernel("n3", directory, cluster.broker, own, node="n3") as at,
        serving(at, as_far_as(image_store.CONTRACT, three), three),
    ):
        for call in (cluster.placing.bring_here(wanted), cluster.placing.create(asked("a"))):
            with pytest.raises(Conflict, match="i is not the same on the hosts n2-name, n3-name: give its id"):
                await call
        three.images["i"] = IMAGE
        assert await cluster.placing.bring_here(wanted) == "sha256:1"
        cluster.one.images["i"] = msgspec.structs.replace(IMAGE, id="sha256:2")
        assert await cluster.placing.bring_here(wanted) == "sha256:2"
        with pytest.raises(NotFound, match="No such image: nowhere"):
            await cluster.placing.bring_here(BringRequest(reference="nowhere"))
    monkeypatch.setattr("shared.bus.bus.RESPONDER_WAIT", 0.05)
    with pytest.raises(Unavailable, match="nowhere may be on n3-name, which cannot be asked now"):
        await cluster.placing.bring_here(BringRequest(reference="nowhere"))
