from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shared import hostmounts
from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.common import Ref
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import PrepareRequest, RemoveRequest, UsageRequest
from shared.errors import InvalidArgument, NotFound
from tests.support.mounts import mount
from tools import images
from tools.images import directory, docker_archive, entry, symlink, tar

Load = Callable[..., Awaitable[list[dict[str, Any]]]]


async def prepare(bus: Bus, key: str, reference: str) -> image_store.Snapshot:
    return await bus.call(image_store.PREPARE, PrepareRequest(key=key, reference=reference))


async def test_a_snapshot_is_made_once(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    first = await prepare(bus, name, f"{name}:1")
    assert await prepare(bus, name, f"{name}:1") == first
    assert await bus.call(image_store.SNAPSHOT, Ref(id=name)) == first
    assert (first.key, first.image.id, first.image.config.cmd) == (name, made.id, ("tool",))
    assert first.mounts
    for _ in range(2):
        await bus.call(image_store.RELEASE, Ref(id=name))
    with pytest.raises(NotFound):
        await bus.call(image_store.SNAPSHOT, Ref(id=name))


async def test_only_of_an_image_that_is_there(bus: Bus, name: str) -> None:
    with pytest.raises(NotFound, match=f"No such image: {name}:latest"):
        await prepare(bus, name, name)


@pytest.mark.parties("real")
async def test_keys_are_names(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    for key in ("../x", "a/b", ""):
        with pytest.raises(InvalidArgument):
            await prepare(bus, key, f"{name}:1")


@pytest.mark.parties("real")
async def test_mounted_it_is_the_images_file_system(bus: Bus, load: Load, name: str, tmp_path: Path) -> None:
    below = tar(
        [
            *(directory("./", 0o751), directory("d", 0o2770), directory("e")),
            *(entry("d/old", b"old"), entry("e/hidden", b"x"), entry("kept", b"kept", mode=0o4755, uid=7)),
            symlink("l", "kept"),
        ]
    )
    above = tar([entry("d/.wh.old"), entry("d/new", b"new"), entry("e/.wh..wh..opq"), entry("e/seen", b"y")])
    await load(docker_archive(images.Image((below, above), {}, (f"{name}:1",))))
    snapshot = await prepare(bus, name, f"{name}:1")
    mount(snapshot, tmp_path)
    try:
        places = {".dockerenv", "dev", "etc", "proc", "sys"}  # to mount on
        found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
        assert {path for path in found if path.partition("/")[0] not in places} == {
            "d", "d/new", "e", "e/seen", "kept", "l"
        }  # fmt: skip
        assert places < found
        assert (tmp_path / "kept").stat().st_mode & 0o7777 == 0o4755
        assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o2770  # what the upper layer did not say
        assert tmp_path.stat().st_mode & 0o7777 == 0o751
        (tmp_path / "written").write_bytes(b"12345")
        (tmp_path / "kept").unlink()
    finally:
        hostmounts.unmount(tmp_path)
    reply = await bus.call(image_store.USAGE, UsageRequest(keys=(name,)))
    assert reply.snapshots == {name: 5}
    second = await prepare(bus, f"{name}-b", f"{name}:1")
    mount(second, tmp_path)
    try:
        assert (tmp_path / "kept").read_bytes() == b"kept"
        assert not (tmp_path / "written").exists()
    finally:
        hostmounts.unmount(tmp_path)
    for key in (name, f"{name}-b"):
        await bus.call(image_store.RELEASE, Ref(id=key))


@pytest.mark.parties("real")
@pytest.mark.parametrize("layers", [0, 1, 2])
async def test_a_view_is_the_image_and_nothing_else(
    bus: Bus, load: Load, name: str, tmp_path: Path, layers: int
) -> None:
    both = (tar([directory("./", 0o751), entry("old", b"old")]), tar([entry(".wh.old"), entry("new", b"new")]))
    made = images.Image(both[:layers], {}, (f"{name}:1",))
    await load(docker_archive(made))
    view = await bus.call(image_store.VIEW, Ref(id=f"{name}:1"))
    assert view.image_id == made.id
    mount(view, tmp_path)
    try:
        assert sorted(path.name for path in tmp_path.iterdir()) == [[], ["old"], ["new"]][layers]
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "written").touch()
        assert not layers or tmp_path.stat().st_mode & 0o7777 == 0o751
    finally:
        hostmounts.unmount(tmp_path)


@pytest.mark.parties("real")
async def test_a_container_outlives_its_image(
    bus: Bus, load: Load, made: images.Image, name: str, tmp_path: Path
) -> None:
    await load(docker_archive(made))
    snapshot = await prepare(bus, name, f"{name}:1")
    await bus.call(image_store.REMOVE, RemoveRequest(reference=f"{name}:1", force=True, in_use={made.id: name}))
    same = await bus.call(image_store.SNAPSHOT, Ref(id=name))
    assert same.mounts == snapshot.mounts
    mount(same, tmp_path)
    try:
        assert (tmp_path / "bin/tool").read_text() == name
    finally:
        hostmounts.unmount(tmp_path)
    await bus.call(image_store.RELEASE, Ref(id=name))


async def test_usage_knows_images_and_snapshots(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    await prepare(bus, name, f"{name}:1")
    reply = await bus.call(image_store.USAGE, UsageRequest())
    assert reply.snapshots[name] == 0
    assert 0 < reply.images[made.id] <= reply.layers
    reply = await bus.call(image_store.USAGE, UsageRequest(keys=(name, "unknown")))
    assert set(reply.snapshots) == {name}
    await bus.call(image_store.RELEASE, Ref(id=name))


async def test_a_snapshot_becomes_an_image(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    await prepare(bus, name, f"{name}:1")
    request = image_store.CommitRequest(key=name, comment="why", repository=name, tag="2")
    done = await bus.call(image_store.COMMIT, request)
    assert (done.name, done.image.parent) == (f"{name}:2", made.id)
    found = await bus.call(image_store.RESOLVE, image_store.ResolveRequest(reference=f"{name}:2"))
    assert (found.id, found.history[-1].comment) == (done.image.id, "why")
    again = await bus.call(image_store.COMMIT, image_store.CommitRequest(key=name, release=True))
    assert again.name == ""
    with pytest.raises(NotFound):
        await bus.call(image_store.SNAPSHOT, Ref(id=name))
    alone = await bus.call(
        image_store.COMMIT, image_store.CommitRequest(parent=f"{name}:2", config=ContainerConfig(user="u"))
    )
    assert (alone.image.config.user, alone.image.diff_ids) == ("u", found.diff_ids)
    with pytest.raises(InvalidArgument):
        await bus.call(image_store.COMMIT, image_store.CommitRequest(key=name, parent=f"{name}:2"))
    scratch = await bus.call(image_store.COMMIT, image_store.CommitRequest(created_by=f"FROM scratch {name}"))
    assert (scratch.image.parent, scratch.image.diff_ids) == ("", ())
    with pytest.raises(NotFound):
        await bus.call(image_store.COMMIT, image_store.CommitRequest(key="unknown"))


async def test_a_layer_goes_on_top(
    bus: Bus, load: Load, transfer: Callable[..., Awaitable[bytes]], made: images.Image, name: str
) -> None:
    await load(docker_archive(made))
    offer = await bus.call(image_store.APPLY, image_store.ApplyRequest(parent=f"{name}:1", repository=name, tag="2"))
    line = json.loads(await transfer(offer, tar([entry("more", b"x")])))
    found = await bus.call(image_store.RESOLVE, image_store.ResolveRequest(reference=f"{name}:2"))
    assert line == {"status": found.id}
    assert (found.parent, len(found.diff_ids)) == (made.id, 2)
    with pytest.raises(NotFound):
        await bus.call(image_store.APPLY, image_store.ApplyRequest(parent="unknown"))
