"""The endpoints of the volume service."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from services.volume.adapters.folders import Folders
from services.volume.service import VolumeService
from shared import testing
from shared.contracts import volume
from shared.contracts.base import Empty
from shared.contracts.trees import SyncOutRequest
from shared.contracts.volume import NameRequest, PruneRequest
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from tests.support.volume_world import VolumeWorld

pytestmark = pytest.mark.usefixtures("running")
TMPFS = {"type": "tmpfs", "device": "tmpfs"}


async def event(world: VolumeWorld) -> tuple[str, str, dict[str, str]]:
    async with asyncio.timeout(60):
        told = await world.events.get()
    return told.action, told.actor, told.attributes


async def test_a_named_volume(world: VolumeWorld) -> None:
    made = await world.create("v1", labels={"a": "b"})
    assert (made.name, made.driver, made.scope, made.labels) == ("v1", "local", "local", {"a": "b"})
    assert made.mountpoint == str(world.data("v1"))
    assert await world.bus.call(volume.INSPECT, NameRequest(name="v1")) == made
    assert await world.create("v1", labels={"a": "c"}) == made


async def test_an_anonymous_volume(world: VolumeWorld) -> None:
    made = await world.create(labels={"x": "y"})
    assert re.fullmatch("[0-9a-f]{64}", made.name)
    assert made.anonymous
    assert made.labels == {"x": "y", "com.docker.volume.anonymous": ""}


async def test_the_same_name_at_once_is_one_volume(world: VolumeWorld) -> None:
    made = await asyncio.gather(*(world.create("v1") for _ in range(5)))
    assert len({spec.created for spec in made}) == 1


async def test_what_is_not_there(world: VolumeWorld) -> None:
    for call in (world.bus.call(volume.INSPECT, NameRequest(name="nope")), world.mount("nope"), world.remove("nope")):
        with pytest.raises(NotFound, match="get nope: no such volume"):
            await call
    await world.remove("nope", force=True)
    assert await world.names() == []


async def test_a_volume_in_use_stays(world: VolumeWorld) -> None:
    await world.create("v1")
    with pytest.raises(Conflict, match=re.escape("remove v1: volume is in use - [c8, c9]")):
        await world.remove("v1", users=("c8", "c9"))
    await world.mount("v1")
    with pytest.raises(Conflict, match=re.escape("remove v1: volume is in use - [c1]")):
        await world.remove("v1", force=True)
    await world.unmount("v1")
    await world.remove("v1")
    assert not world.data("v1").exists()


async def test_a_folder_is_durable_before_anybody_writes_to_it(
    world: VolumeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable: list[str] = []
    monkeypatch.setattr(Folders, "make_durable", lambda self, name: durable.append(name))
    await world.create("v1")
    assert durable == []
    await world.mount("v1", "c1")
    assert durable == ["v1"]


async def test_mounting_tells_whether_there_is_anything_to_keep(world: VolumeWorld) -> None:
    await world.create("v1")
    assert await world.mount("v1") == volume.MountReply(path=str(world.data("v1")), empty=True)
    (world.data("v1") / "file").touch()
    assert not (await world.mount("v1", "c2")).empty


async def test_a_mounted_volume_is_mounted_while_anybody_uses_it(world: VolumeWorld) -> None:
    await world.create("v1", options=TMPFS)
    assert world.mounted() == []
    for user in ("c1", "c2", "c1"):
        await world.mount("v1", user)
    assert world.mounted() == [str(world.data("v1"))]
    await world.unmount("v1", "c1")
    assert world.mounted() == [str(world.data("v1"))]
    await world.unmount("", "c2")
    await world.unmount("", "c2")
    assert world.mounted() == []


async def test_a_mount_that_fails_leaves_no_user(world: VolumeWorld) -> None:
    await world.create("v1", options={"type": "none", "device": "/nonexist", "o": "bind"})
    with pytest.raises(InvalidArgument, match="error while mounting volume"):
        await world.mount("v1")
    assert world.mounted() == []
    await world.remove("v1")
    assert await world.names() == []


async def test_a_part_of_a_volume(world: VolumeWorld) -> None:
    await world.create("v1")
    (world.data("v1") / "sub").mkdir()
    (world.data("v1") / "sub" / "file").write_text("part")
    reply = await world.mount("v1", subpath="sub")
    assert reply == await world.mount("v1", subpath="sub")
    assert not reply.empty
    assert world.mounted() == [reply.path]
    with pytest.raises(InvalidArgument, match="subpath must be a relative path"):
        await world.mount("v1", subpath="../x")
    with pytest.raises(InvalidArgument, match="cannot access path"):
        await world.mount("v1", "c2", subpath="nothing")
    await world.unmount("v1")
    assert world.mounted() == []
    await world.remove("v1")


async def test_lists_are_filtered(world: VolumeWorld) -> None:
    for name in ("one", "two"):
        await world.create(name, labels={"n": name})
    await world.mount("one")
    assert await world.names() == ["one", "two"]
    assert await world.names(dangling="true") == ["two"]
    assert await world.names(label="n=one") == ["one"]
    with pytest.raises(InvalidArgument, match="invalid filter 'foo'"):
        await world.names(foo="bar")


async def test_prune_frees_what_nobody_uses(world: VolumeWorld) -> None:
    anonymous = [(await world.create()).name for _ in range(3)]
    await world.create("named")
    await world.mount(anonymous[0])
    (world.data(anonymous[2]) / "file").write_bytes(b"x" * 1234)
    report = await world.bus.call(volume.PRUNE, PruneRequest(in_use=(anonymous[1],)))
    assert report.removed == (anonymous[2],)
    assert report.bytes_freed == 1234
    report = await world.bus.call(volume.PRUNE, PruneRequest(filters={"all": ("true",)}))
    assert set(report.removed) == {"named", anonymous[1]}


async def test_usage_is_of_folders(world: VolumeWorld) -> None:
    await world.create("v1")
    await world.create("v2", options=TMPFS)
    (world.data("v1") / "file").write_bytes(b"x" * 77)
    assert (await world.bus.call(volume.USAGE, Empty())).sizes == {"v1": 77}


async def test_events_have_dockers_attributes(world: VolumeWorld) -> None:
    await world.create("v1")
    await world.create("v1")
    mount = volume.MountRequest(name="v1", user="c1", destination="/data", rw=False)
    for _ in range(2):
        await world.bus.call(volume.MOUNT, mount)
    await world.unmount()
    await world.remove("v1")
    assert await event(world) == ("create", "v1", {"driver": "local"})
    mounted = {"driver": "local", "container": "c1", "destination": "/data", "propagation": "", "read/write": "false"}
    assert await event(world) == ("mount", "v1", mounted)
    assert await event(world) == ("unmount", "v1", {"driver": "local", "container": "c1"})
    assert await event(world) == ("destroy", "v1", {"driver": "local"})


@pytest.mark.parametrize("user", ["", "../c1", "a/b"])
async def test_a_user_is_no_path(world: VolumeWorld, user: str) -> None:
    await world.create("v1")
    with pytest.raises(InvalidArgument, match="user"):
        await world.mount("v1", user)
    with pytest.raises(InvalidArgument, match="user"):
        await world.unmount("v1", user)


@pytest.mark.parametrize("name", ["../../etc", "a", "a b"])
async def test_a_name_is_no_path(world: VolumeWorld, name: str) -> None:
    with pytest.raises(InvalidArgument, match="create"):
        await world.create(name)
    with pytest.raises(NotFound):
        await world.remove(name)


async def test_content_goes_to_another_host(world: VolumeWorld, tmp_path: Path) -> None:
    await world.create("v1")
    (world.data("v1") / "file").write_text("content")
    async with testing.kernel("volume", tmp_path / "there", world.broker, node="node2") as kernel:
        there = VolumeService(kernel)
        await there.start()
        async with testing.serving(kernel, volume.CONTRACT, there):
            request = SyncOutRequest(key="v1", node="node2")
            with pytest.raises(NotFound, match="get v1: no such volume"):
                await world.bus.call(volume.SYNC_OUT, request)
            made = await world.bus.call(volume.CREATE, volume.CreateRequest(name="v1"), node="node2")
            await world.bus.call(volume.SYNC_OUT, request)
            assert (Path(made.mountpoint) / "file").read_text() == "content"


async def test_what_is_mounted_from_elsewhere_stays_there(world: VolumeWorld) -> None:
    await world.create("v1", options=TMPFS)
    with pytest.raises(FailedPrecondition, match="mounted from elsewhere"):
        await world.bus.call(volume.SYNC_OUT, SyncOutRequest(key="v1", node="node2"))
