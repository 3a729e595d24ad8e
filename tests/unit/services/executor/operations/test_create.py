from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.executor.adapters.host_paths import LocalHostPaths
from services.executor.operations.create import RESERVE
from shared.contracts import executor as contract
from shared.contracts import volume
from shared.contracts.base import Message
from shared.contracts.container import ContainerConfig, EndpointSettings, HostConfig, MountRequest, VolumeOptions
from shared.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted, ShoalError, Unavailable
from tests.support.executor_node import Node


async def test_what_is_recorded(node: Node) -> None:
    container_id = await node.create("-x", image="redis", name="db", config={"env": ("A=1",)}, memory=8 << 20)
    spec = node.spec(container_id)
    assert spec is not None
    assert (spec.name, spec.path, spec.args) == ("db", "redis-server", ("-x",))
    assert spec.image_id == node.image_store.images["redis"].id
    assert spec.config.image == "redis"
    assert spec.config.hostname == container_id[:12]
    assert spec.config.labels == {"maker": "us"}
    assert spec.config.working_dir == "/data"
    assert spec.host_config.memory_swap == 16 << 20
    assert spec.networks == {"bridge": EndpointSettings()}
    assert [(point.destination, point.driver, point.rw) for point in spec.mounts] == [("/data", "local", True)]
    assert spec.mounts[0].name in node.volume.volumes
    assert node.status(container_id).state == "created"
    assert node.view.get(contract.PLACEMENTS, container_id).value.node == "node1"  # type: ignore[union-attr]
    assert node.view.get(contract.NAMES, "db").value.id == container_id  # type: ignore[union-attr]
    assert node.leftovers() == set()


async def test_a_name_is_made_up(node: Node) -> None:
    first, second = node.spec(await node.create("true")), node.spec(await node.create("true"))
    assert first is not None
    assert second is not None
    assert "_" in first.name
    assert first.name != second.name


async def test_a_name_with_a_dot(node: Node) -> None:
    container_id = await node.create("true", name="my.app")
    assert node.view.get(contract.NAMES, "my.app").value.id == container_id  # type: ignore[union-attr]


async def test_what_is_left_of_a_disk_is_for_those_that_are_there(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await node.create("sleep")
    monkeypatch.setattr(LocalHostPaths, "free_bytes", lambda paths: RESERVE - 1)
    with pytest.raises(ResourceExhausted, match="cannot create a container: No space left on device"):
        await node.create("true")
    assert set(node.image_store.snapshots) == {kept}
    await node.begin(kept)
    monkeypatch.setattr(LocalHostPaths, "free_bytes", lambda paths: RESERVE)
    await node.create("true")


async def test_a_taken_name(node: Node) -> None:
    holder = await node.create("true", name="web")
    with pytest.raises(AlreadyExists) as caught:
        await node.create("true", name="web")
    assert caught.value.message == (
        f'Conflict. The container name "/web" is already in use by container "{holder}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    await node.until(lambda: not node.leftovers())
    assert set(node.image_store.snapshots) == {holder}


async def test_a_missing_image_comes_before_a_taken_name(node: Node) -> None:
    holder = await node.create("true", name="web")
    with pytest.raises(NotFound, match="No such image: fish:latest"):
        await node.create("true", name="web", image="fish")
    assert node.spec(holder) is not None
    assert node.view.get(contract.NAMES, "web").value.id == holder  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "more",
    [
        {"name": "b@d"},
        {"config": {"env": ("=x",)}},
        {"memory": 5},
        {"network_mode": "container:"},
        {"volumes_from": ("nobody",)},
        {"binds": ("/a:/x", "/b:/x")},
        {"binds": ("bad name:/x",)},
        {"config": {"exposed_ports": {"x": {}}}},
        {"networks": {"bridge": EndpointSettings(aliases=("db",))}},
        {"image": ""},
    ],
)
async def test_a_wrong_request_leaves_nothing(node: Node, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        await node.create("true", **more)
    await node.until(lambda: not node.leftovers())
    assert node.image_store.snapshots == {}
    assert node.volume.volumes == {}


@pytest.mark.parametrize(
    ("service", "operation", "after"),
    [
        ("image_store", "prepare", False),
        ("image_store", "prepare", True),
        ("volume", "create", False),
        ("volume", "create", True),
    ],
)
async def test_a_failing_neighbour_leaves_nothing(node: Node, service: str, operation: str, after: bool) -> None:
    simulator = getattr(node, service)
    (simulator.fail_after if after else simulator.fail)[operation].append(Unavailable("gone"))
    mounts = (MountRequest(source="named", target="/n"), MountRequest(target="/a"))
    with pytest.raises(Unavailable):
        await node.create("true", mounts=mounts)
    await node.until(lambda: not node.leftovers())
    assert node.image_store.snapshots == {}
    assert set(node.view.items(contract.NAMES)) == set()


async def test_a_volume_that_is_just_being_made_goes_with_what_failed_beside_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter, refused = node.volume.enter, asyncio.Event()

    async def slowly(operation: str, request: Message) -> None:
        if isinstance(request, volume.CreateRequest) and request.driver == "local":
            await refused.wait()
            for _ in range(200):  # turns in which the other's failure is known
                await asyncio.sleep(0)
        await enter(operation, request)
        if isinstance(request, volume.CreateRequest) and request.driver != "local":
            refused.set()

    monkeypatch.setattr(node.volume, "enter", slowly)
    options = VolumeOptions(driver_name="fish")
    mounts = (MountRequest(target="/x", volume_options=options), MountRequest(source="named", target="/n"))
    with pytest.raises(NotFound):
        await node.create("true", mounts=mounts)
    await node.until(lambda: node.volume.count("create") == 2 and not node.leftovers())
    assert node.volume.volumes == {}


async def test_a_named_volume_that_was_there_stays(node: Node) -> None:
    await node.create("true", binds=("kept:/k",))
    node.volume.fail["create"] += [NotFound("no such driver")]
    options = VolumeOptions(driver_name="fish")
    mounts = (MountRequest(source="kept", target="/k"), MountRequest(target="/x", volume_options=options))
    with pytest.raises(NotFound):
        await node.create("true", mounts=mounts)
    await node.until(lambda: not node.leftovers())
    assert set(node.volume.volumes) == {"kept"}


async def test_volumes_of_another_container(node: Node) -> None:
    donor = await node.create(image="redis", name="db")
    borrower = node.spec(await node.create("true", volumes_from=("db:ro",)))
    theirs = node.spec(donor)
    assert theirs is not None
    assert borrower is not None
    assert [(point.name, point.rw) for point in borrower.mounts] == [(theirs.mounts[0].name, False)]


async def test_a_bind_by_mount_must_be_there(node: Node) -> None:
    there = MountRequest(type="bind", source=str(node.directory), target="/x")
    assert await node.create("true", mounts=(there,))
    missing = MountRequest(type="bind", source=str(node.directory / "no"), target="/x")
    with pytest.raises(InvalidArgument, match="bind source path does not exist"):
        await node.create("true", mounts=(missing,))


async def test_warnings_and_joined_names(node: Node) -> None:
    donor = await node.create("true", name="db")
    request = contract.CreateRequest(
        config=ContainerConfig(image="busybox"),
        host_config=HostConfig(network_mode="container:db", oom_kill_disable=True),
    )
    reply = await node.call(contract.CREATE, request)
    assert len(reply.warnings) == 1
    await node.view.reached(reply.revision)
    spec = node.spec(reply.id)
    assert spec is not None
    assert spec.host_config.network_mode == f"container:{donor}"
    assert spec.networks == {}
    assert spec.config.hostname == donor[:12]


async def test_many_at_once_have_names_of_their_own(node: Node) -> None:
    made = await asyncio.gather(*(node.create("true", name=f"c{n % 5}x") for n in range(20)), return_exceptions=True)
    ids = [each for each in made if isinstance(each, str)]
    assert len(ids) == 5
    assert sum(isinstance(each, ShoalError) for each in made) == 15
    await node.until(lambda: not node.leftovers())
    assert set(node.image_store.snapshots) == set(ids)
