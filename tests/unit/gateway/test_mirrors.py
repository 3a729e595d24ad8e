"""What services have is known to the gateway from what they tell, and never is it older than what a client saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.mirrors import Sources
from gateway.sources import Unchanged
from shared.bus import MemoryBroker
from shared.bus.memory import MemoryTransport
from shared.contracts import image_store, network, platform, volume
from shared.contracts.base import Event
from shared.contracts.container import ContainerConfig
from shared.testing import kernel, serving
from tests.support.gateways import as_far_as
from tests.support.simulators.image_store import BUSYBOX, OTHER
from tests.support.simulators.platform_host import PlatformHostSimulator
from tests.support.waiting import until

MINE = volume.VolumeSpec(name="mine")
NETWORK = network.NetworkSpec(id="n1", name="mine", created=1)
ENDPOINT = network.EndpointRecord(id="e1", network_id="n1", container_id="c1", container_name="web", node="node1")
LISTED = msgspec.structs.replace(BUSYBOX, history=(), diff_ids=(), config=ContainerConfig())
"""As a list shows it."""


class Calls:
    """Answers calls with what it was given, and counts."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.count = 0

    async def call(self, endpoint: Any, request: Any) -> Any:
        self.count += 1
        return self.answers.pop(0)


def opened(*answers: Any) -> tuple[Sources, Calls]:
    calls = Calls(*answers)
    return Sources(calls), calls  # type: ignore[arg-type]


async def find(sources: Sources, reference: str) -> network.Network | None:
    return await sources.answer(network.INSPECT, network.InspectRequest(reference=reference))


async def resolve(sources: Sources, reference: str) -> image_store.Image | None:
    return await sources.answer(image_store.RESOLVE, image_store.ResolveRequest(reference=reference))


async def test_volumes_are_asked_for_once_and_then_told() -> None:
    sources, calls = opened(volume.ListReply(volumes=(MINE,)))
    assert await sources.volumes.known() == {"mine": MINE}
    fresh = Unchanged(sources.volumes)
    other = volume.VolumeSpec(name="other")
    sources.volumes.tell(volume.Changed(volumes=(other,), removed=("mine",)))
    assert not fresh.holds()
    assert await sources.volumes.known() == {"other": other}
    assert calls.count == 1


async def test_who_names_nothing_is_asked_again() -> None:
    sources, calls = opened(volume.ListReply(volumes=(MINE,)), volume.ListReply())
    await sources.volumes.known()
    sources.volumes.tell(volume.Changed())
    assert await sources.volumes.known() == {}
    assert calls.count == 2


async def test_an_answer_that_a_change_overtook_is_not_kept() -> None:
    sources, calls = opened()

    async def overtaken(endpoint: Any, request: Any) -> Any:
        sources.volumes.tell(volume.Changed(volumes=(MINE,)))
        return volume.ListReply()

    async def after(endpoint: Any, request: Any) -> Any:
        return volume.ListReply(volumes=(MINE,))

    calls.call = overtaken  # type: ignore[method-assign]
    assert await sources.volumes.known() == {}
    calls.call = after  # type: ignore[method-assign]
    assert await sources.volumes.known() == {"mine": MINE}


async def test_who_is_on_a_network_is_told() -> None:
    sources, calls = opened(network.ListReply(networks=(network.Network(spec=NETWORK),)))
    assert await find(sources, "mine") == network.Network(spec=NETWORK)
    sources.networks.tell(network.Changed(endpoints=(ENDPOINT,)))
    assert await find(sources, "n1") == network.Network(spec=NETWORK, endpoints=(ENDPOINT,))
    second = msgspec.structs.replace(ENDPOINT, id="e2", container_id="c2")
    renamed = msgspec.structs.replace(ENDPOINT, container_name="db")
    sources.networks.tell(network.Changed(endpoints=(second, renamed)))
    assert await find(sources, "n1") == network.Network(spec=NETWORK, endpoints=(renamed, second))
    sources.networks.tell(network.Changed(left={"e1": "n1"}))
    assert await find(sources, "n1") == network.Network(spec=NETWORK, endpoints=(second,))
    sources.networks.tell(network.Changed(removed=("n1",)))
    assert await find(sources, "mine") is None
    assert calls.count == 1


async def test_a_network_that_changes_keeps_who_is_on_it() -> None:
    sources, _ = opened(network.ListReply(networks=(network.Network(spec=NETWORK, endpoints=(ENDPOINT,)),)))
    await sources.networks.known()
    labelled = msgspec.structs.replace(NETWORK, labels={"a": "b"})
    new = msgspec.structs.replace(NETWORK, id="n2", name="new")
    sources.networks.tell(network.Changed(networks=(labelled, new)))
    assert await find(sources, "n1") == network.Network(spec=labelled, endpoints=(ENDPOINT,))
    assert await find(sources, "new") == network.Network(spec=new)


async def test_the_id_of_a_network_comes_before_a_name() -> None:
    impostor = msgspec.structs.replace(NETWORK, id="n2", name="n1")
    both = (network.Network(spec=impostor), network.Network(spec=NETWORK))
    sources, _ = opened(network.ListReply(networks=both))
    assert await find(sources, "n1") == both[1]


@pytest.mark.parametrize(
    "reference", [OTHER.id, "other:1", "docker.io/library/other:1", "host:5000/x", "host:5000/x:latest"]
)
async def test_an_image_that_was_told_is_known_as_a_whole(reference: str) -> None:
    sources, calls = opened(image_store.ListReply(images=(LISTED,)))
    await sources.images.known()
    assert sources.images.whole("busybox") is None
    sources.images.tell(image_store.Changed(images=(OTHER,)))
    assert sources.images.whole(reference) == OTHER
    assert (await sources.images.known()).keys() == {LISTED.id, OTHER.id}
    sources.images.tell(image_store.Changed(removed=(OTHER.id,)))
    assert sources.images.whole(reference) is None
    assert (await sources.images.known()).keys() == {LISTED.id}
    assert calls.count == 1


async def test_what_the_store_answered_is_asked_once_and_forgotten_with_the_rest() -> None:
    lists = image_store.ListReply(images=(LISTED,))
    sources, calls = opened(BUSYBOX, lists, BUSYBOX, lists)
    for count in (2, 2):
        assert await resolve(sources, "busybox") == BUSYBOX
        assert calls.count == count
    sources.images.changed()
    assert await resolve(sources, "busybox:latest") == BUSYBOX
    assert calls.count == 4


async def test_an_image_whose_names_mean_others_as_well_is_asked_for_each_time() -> None:
    shared = msgspec.structs.replace(BUSYBOX, repo_tags=(*BUSYBOX.repo_tags, "of-another-platform:1"))
    sources, calls = opened(shared, image_store.ListReply(images=(LISTED,)), shared)
    for count in (2, 3):
        assert await resolve(sources, BUSYBOX.id) == shared
        assert calls.count == count


@pytest.mark.parametrize(
    ("endpoint", "request_"),
    [
        (volume.LIST, volume.ListRequest(filters={"name": ("a",)})),
        (volume.CREATE, volume.CreateRequest()),
        (network.LIST, network.ListRequest(filters={"name": ("a",)})),
        (network.INSPECT, network.InspectRequest(reference="mine", scope="swarm")),
        (image_store.LIST, image_store.ListRequest(all=True)),
        (image_store.RESOLVE, image_store.ResolveRequest(reference="busybox", manifests=True)),
    ],
)
async def test_what_is_for_the_service(endpoint: Any, request_: Any) -> None:
    sources, calls = opened()
    assert await sources.answer(endpoint, request_) is None
    assert calls.count == 0


def _counts(sources: Sources) -> dict[str, int]:
    return {name: getattr(sources, name).count for name in ("containers", "images", "networks", "volumes", "host")}


async def test_what_services_tell_is_heard(tmp_path: Path) -> None:
    broker = MemoryBroker()
    async with kernel("gateway", tmp_path, broker) as own, kernel("other", tmp_path / "o", broker) as other:
        sources = await Sources.open(own.bus)
        told: tuple[tuple[Event[Any], str], ...] = (
            (image_store.CHANGED, "images"),
            (network.CHANGED, "networks"),
            (volume.CHANGED, "volumes"),
        )
        for event, name in told:
            before = _counts(sources)
            await other.bus.tell(event, event.message())
            await until(lambda before=before: _counts(sources) != before)  # type: ignore[misc]
            assert _counts(sources) == before | {name: before[name] + 1}


@pytest.mark.parametrize("field", ["volumes", "networks", "images"])
async def test_what_another_host_has_is_not_this_one_s(tmp_path: Path, field: str) -> None:
    """Names are the same on many hosts: what one removes, another one keeps."""
    kind = {"volumes": volume, "networks": network, "images": image_store}[field]
    broker = MemoryBroker()
    async with kernel("gateway", tmp_path, broker) as own, kernel("other", tmp_path / "o", broker) as other:
        source = getattr(await Sources.open(own.bus), field)
        before = source.count
        await other.bus.tell(kind.CHANGED, kind.Changed(removed=("mine",), node="elsewhere"))
        await other.bus.tell(kind.CHANGED, kind.Changed(removed=("mine",), node=own.node))
        await until(lambda: source.count != before)
        assert source.count == before + 1


async def test_a_new_instance_may_know_other_things(tmp_path: Path) -> None:
    """One of this host."""
    broker = MemoryBroker()
    async with kernel("gateway", tmp_path, broker) as own, kernel("host", tmp_path / "o", broker) as other:
        sources = await Sources.open(own.bus)
        before = _counts(sources)
        simulator = PlatformHostSimulator()
        contract = as_far_as(platform.CONTRACT, simulator)
        async with serving(other, contract, simulator, "node2"), serving(other, contract, simulator):
            await until(lambda: _counts(sources) != before)
            assert _counts(sources) == before | {"host": 1}


async def test_what_was_missed_while_the_broker_was_away_counts_as_changed(tmp_path: Path) -> None:
    async with kernel("gateway", tmp_path) as own:
        sources = await Sources.open(own.bus)
        before = _counts(sources)
        assert isinstance(own.bus.transport, MemoryTransport)
        own.bus.transport.reconnect()
        assert _counts(sources) == {name: count + (name != "containers") for name, count in before.items()}
