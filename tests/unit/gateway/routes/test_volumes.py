from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.contracts import executor, volume
from shared.contracts.container import ContainerPlacement
from shared.state import MemoryState
from tests.support.gateways import Host, World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]


async def test_create_inspect_list_remove(api: Api, world: World) -> None:
    made = await api("POST", "/volumes/create", {"Name": "v", "Labels": {"a": "b"}, "DriverOpts": {"o": "x"}})
    assert (made.status, made.json()["Options"]) == (201, {"o": "x"})
    assert (await api("GET", "/volumes/v")).json()["Labels"] == {"a": "b"}
    listed = (await api("GET", "/volumes")).json()
    assert ([one["Name"] for one in listed["Volumes"]], listed["Warnings"]) == (["v"], None)
    assert (await api("DELETE", "/volumes/v?force=1")).status == 204
    assert world.volumes.last() == volume.RemoveRequest(name="v", force=True)
    assert (await api("DELETE", "/volumes/v")).message == "get v: no such volume"


async def test_an_unnamed_volume(api: Api) -> None:
    made = (await api("POST", "/volumes/create", {})).json()
    assert len(made["Name"]) == 64
    assert made["Labels"] == {"com.docker.volume.anonymous": ""}


async def test_wrong_requests(api: Api) -> None:
    assert (await api("POST", "/volumes/create", {"Name": "a b"})).status == 400
    assert (await api("POST", "/volumes/create", {"Name": 5})).message.startswith(
        "invalid JSON: VolumeCreateRequest.Name"
    )
    assert (await api("POST", '/volumes/prune?filters={"foo":["x"]}')).status == 400
    assert (await api("PUT", "/volumes/v?version=1", {})).status == 503


async def test_old_clients_prune_named_volumes_too(api: Api, world: World) -> None:
    assert (await api("POST", "/v1.41/volumes/prune")).json() == {"VolumesDeleted": [], "SpaceReclaimed": 0}
    assert world.volumes.last() == volume.PruneRequest(filters={"all": ("true",)})
    await api("POST", "/v1.42/volumes/prune")
    assert world.volumes.last() == volume.PruneRequest()


async def test_volumes_of_other_hosts(api: Api, world: World, two: Host) -> None:
    """Found by name, and by host where both have the name."""
    for host, name in ((world, "both"), (two, "both"), (two, "far")):
        await host.volumes.create(volume.CreateRequest(name=name))
    listed = (await api("GET", "/volumes")).json()["Volumes"]
    assert [(one["Name"], one["Node"]["Name"]) for one in listed] == [
        ("both", "one"), ("two/both", "two"), ("far", "two"),
    ]  # fmt: skip
    for name, where in (("both", "one"), ("two/both", "two"), ("far", "two")):
        assert (await api("GET", f"/volumes/{name}")).json()["Node"]["Name"] == where
    for name in ("two/both", "far"):
        assert (await api("DELETE", f"/volumes/{name}?force=1")).status == 204
    assert (two.volumes.volumes, list(world.volumes.volumes)) == ({}, ["both"])
    assert (await api("GET", "/volumes/far")).message == "get far: no such volume"


async def test_a_volume_is_made_once_in_a_cluster_and_where_it_is_wished(api: Api, world: World, two: Host) -> None:
    await two.volumes.create(volume.CreateRequest(name="far"))
    assert (await api("POST", "/volumes/create", {"Name": "far"})).json()["Node"]["Name"] == "two"
    wished = {"Name": "wished", "Labels": {"shoal.node": "two"}}
    assert (await api("POST", "/volumes/create", wished)).json()["Node"]["Name"] == "two"
    assert (await api("POST", "/volumes/create", {"Name": "near"})).json()["Node"]["Name"] == "one"
    assert (list(world.volumes.volumes), list(two.volumes.volumes)) == (["near"], ["far", "wished"])
    wished["Labels"]["shoal.node"] = "three"  # type: ignore[index]
    assert (await api("POST", "/volumes/create", wished)).message == "node three not found"
    for host in (world, two):
        host.volumes.calls.clear()
    await api("POST", "/volumes/prune")
    assert (world.volumes.last(), two.volumes.last()) == (volume.PruneRequest(), volume.PruneRequest())


async def test_what_is_just_being_made_for_a_container_is_in_use(api: Api, world: World, two: Host) -> None:
    """A container that comes to a host has no record there before all is there."""
    state = world.kernel.state
    assert isinstance(state, MemoryState)
    await two.volumes.create(volume.CreateRequest(name="far"))
    for store, node, names in ((state, "node1", ("near",)), (state.hosts["node2"], "node2", ("far",))):
        placement = ContainerPlacement(node=node, making=names, incoming="migration")
        await store.create(executor.PLACEMENTS, "c" * 64, value=placement)
    assert (await api("DELETE", "/volumes/far")).message == f"remove far: volume is in use - [{'c' * 64}]"
    await api("POST", "/volumes/prune")
    assert [host.volumes.last() for host in (world, two)] == [
        volume.PruneRequest(in_use=("near",)), volume.PruneRequest(in_use=("far",)),
    ]  # fmt: skip
