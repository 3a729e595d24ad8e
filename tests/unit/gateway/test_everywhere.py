from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateway import everywhere
from gateway.context import Gateway
from gateway.routes.containers import usage_by_id
from shared.contracts import executor, network, volume
from shared.contracts.base import Empty
from shared.contracts.common import PruneReport, Ref
from shared.contracts.container import ContainerConfig
from shared.contracts.volume import NameRequest, VolumeSpec
from shared.errors import Conflict, NotFound, Unavailable
from shared.state import MemoryState
from tests.support.gateways import Host, World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]


@pytest.fixture
def gateway(world: World, two: Host) -> Gateway:
    """In a cluster of the hosts `one`, its own, and `two`."""
    return world.app._gateway


async def found(gateway: Gateway, name: str) -> tuple[str, VolumeSpec]:
    return await everywhere.find_named(
        gateway, volume.INSPECT, lambda name: NameRequest(name=name), name, lambda spec: str(spec.created)
    )


async def test_a_name_means_what_this_host_has_else_what_another_has(gateway: Gateway, world: World, two: Host) -> None:
    for host in (world, two):
        host.volumes.volumes["both"] = VolumeSpec(name="both", created=1)
    two.volumes.volumes["far"] = VolumeSpec(name="far", created=2)
    assert [(await found(gateway, name))[0] for name in ("both", "two/both", "far")] == ["node1", "node2", "node2"]
    with pytest.raises(NotFound, match="get none: no such volume"):
        await found(gateway, "none")
    with pytest.raises(NotFound, match="get three/both: no such volume"):
        await found(gateway, "three/both")


async def test_other_hosts_that_mean_different_things_by_a_name(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"node2": VolumeSpec(name="v", created=1), "node3": VolumeSpec(name="v", created=2)}

    async def answers(*asked: object) -> dict[str, VolumeSpec]:
        return told

    monkeypatch.setattr(everywhere, "ask_each", answers)
    with pytest.raises(Conflict, match="v is not the same on the hosts two, node3: give the host with it"):
        await found(gateway, "v")


async def test_what_may_be_on_a_host_that_does_not_answer_is_not_missing(gateway: Gateway, two: Host) -> None:
    def asked(id: str) -> Ref:
        return Ref(id=id)

    two.executor.fail["changes"] = Unavailable("away")
    with pytest.raises(Unavailable, match="c may be on two, which cannot be asked now"):
        await everywhere.find(gateway, executor.CHANGES, asked, "c", repr, "")
    with pytest.raises(NotFound):
        await everywhere.find(gateway, executor.CHANGES, asked, "c", repr, "")


async def test_all_hosts_are_asked(gateway: Gateway, two: Host) -> None:
    two.networks.networks["far"] = network.NetworkSpec(id="f" * 64, name="far", created=1)
    answers = await everywhere.ask_all(gateway, network.LIST, lambda _: network.ListRequest())
    assert [(node, len(answer.networks)) for node, answer in answers.items()] == [("node1", 3), ("node2", 4)]


async def test_what_only_another_host_has_is_asked_of_it(gateway: Gateway, two: Host) -> None:
    two.volumes.volumes["far"] = VolumeSpec(name="far")
    assert list(await everywhere.ask_all(gateway, volume.INSPECT, lambda _: NameRequest(name="far"))) == ["node2"]
    with pytest.raises(NotFound):
        await everywhere.ask_all(gateway, volume.INSPECT, lambda _: NameRequest(name="none"))


async def test_a_host_that_is_away_is_left_out_but_not_this_one(gateway: Gateway, world: World, two: Host) -> None:
    two.executor.fail["usage"] = Unavailable("nobody answers")
    assert list(await everywhere.ask_all(gateway, executor.USAGE, lambda _: Empty())) == ["node1"]
    two.executor.fail["usage"] = Unavailable("nobody answers")
    assert await usage_by_id(gateway, ("node2",)) == {}
    for ask in (everywhere.ask_all(gateway, executor.USAGE, lambda _: Empty()), usage_by_id(gateway)):
        world.executor.fail["usage"] = Unavailable("nobody answers")
        with pytest.raises(Unavailable):
            await ask


async def test_who_does_not_show_itself_is_not_waited_for(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call has no end of its own; a host of which nothing runs does not answer even that it is there."""
    monkeypatch.setattr(everywhere, "PATIENCE", 0.05)
    monkeypatch.setattr("shared.bus.bus.RESPONDER_WAIT", 60.0)
    with pytest.raises(Unavailable, match="host node9 does not answer"):
        await everywhere.ask(gateway, volume.USAGE, Empty(), "node9")


async def test_what_hosts_have_removed_is_told_when_another_fails(gateway: Gateway, world: World, two: Host) -> None:
    asked = dict.fromkeys(("node1", "node2"), executor.PruneRequest())
    world.executor.fail["prune"] = Unavailable("away")
    with pytest.raises(Unavailable, match="away"):
        await everywhere.prune_all(gateway, executor.PRUNE, asked)
    world.executor.fail["prune"] = Unavailable("away")
    made = executor.CreateRequest(config=ContainerConfig(image="busybox", cmd=("sleep", "1")), name="c")
    id = (await two.executor.create(made)).id
    told = await everywhere.prune_all(gateway, executor.PRUNE, {**asked, "node2": executor.PruneRequest(ids=(id,))})
    assert told == {"node2": PruneReport(removed=(id,), bytes_freed=5)}


def test_names_in_a_list(gateway: Gateway) -> None:
    assert everywhere.called(gateway, {"node1": ["a", "b"], "node2": ["b", "c"]}) == {
        ("node1", "a"): "a", ("node1", "b"): "b", ("node2", "b"): "two/b", ("node2", "c"): "c",
    }  # fmt: skip


@pytest.fixture
async def unseen(world: World, two: Host, monkeypatch: pytest.MonkeyPatch) -> str:
    """A container of the other host, of which this gateway has not heard yet."""
    monkeypatch.setattr(everywhere, "PATIENCE", 0.05)
    state = world.kernel.state
    assert isinstance(state, MemoryState)
    monkeypatch.setattr(state.hosts["node2"], "_tell", lambda *change: None)
    made = executor.CreateRequest(config=ContainerConfig(image="busybox", cmd=("sleep", "1")), name="c")
    return (await two.executor.create(made)).id


@pytest.mark.parametrize("path", ["/volumes/prune", "/images/prune", "/networks/prune"])
async def test_nothing_is_pruned_where_it_is_not_known_what_is_used(
    api: Api, world: World, two: Host, unseen: str, path: str
) -> None:
    kind = path.split("/")[1]
    assert (await api("POST", path)).status == 200
    assert [bool(getattr(host, kind).calls) for host in (world, two)] == [True, False]


async def test_nothing_is_removed_where_it_is_not_known_what_is_used(
    api: Api, world: World, two: Host, unseen: str
) -> None:
    two.volumes.volumes["far"] = VolumeSpec(name="far")
    two.images.images["far"] = world.images.images.pop("busybox")
    for path in ("/volumes/far", "/images/far"):
        answer = await api("DELETE", path)
        assert (answer.status, answer.message.partition(" is not known")[0]) == (503, "which containers host two has")
    assert (list(two.volumes.volumes), "far" in two.images.images) == (["far"], True)


async def test_what_a_host_has_just_made_counts_as_used(gateway: Gateway, two: Host) -> None:
    made = executor.CreateRequest(config=ContainerConfig(image="busybox", cmd=("sleep", "1")), name="c")
    id = (await two.executor.create(made)).id
    assert gateway.containers.get(id) is None
    assert await everywhere.settled(gateway) == ("node1", "node2")
    assert gateway.containers.get(id) is not None


async def test_of_a_host_that_has_just_joined_nothing_is_known(gateway: Gateway) -> None:
    with pytest.raises(Unavailable, match="which containers host node9 has is not known now: it is not watched yet"):
        await everywhere.catch_up(gateway, "node9")
