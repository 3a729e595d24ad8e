from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shared.errors import NotFound
from tests.support.image_store import Store, World, small
from tools import images
from tools.images import docker_archive, entry, tar


async def test_a_restart_finds_everything(world: World) -> None:
    image = small("a:1", below=b"below", Cmd=["sh"])
    async with world.store() as store:
        await store.load(docker_archive(image, "gzip"))
        before, snapshot = await store.resolve("a:1"), await store.prepare("c1", "a:1")
    async with world.store() as store:
        assert await store.resolve("a:1") == before
        assert await store.prepare("c1", "a:1") == snapshot


async def test_what_no_image_needs_is_swept_at_the_start(world: World) -> None:
    async with world.store() as store:
        await store.load(docker_archive(small("a:1")))
        kept = store.blobs()
    stray = store.root / "blobs/sha256" / ("0" * 64)
    stray.write_bytes(b"half a load")
    (store.root / "ingest/x").mkdir()
    tree = store.root / "layers" / ("0" * 64) / "diff"
    tree.mkdir(parents=True)
    async with world.store() as store:
        assert store.blobs() == kept
        assert len(list((store.root / "layers").iterdir())) == 1
        assert store.leftovers() == []


async def test_an_image_whose_manifest_is_gone_is_left_out(world: World) -> None:
    good, bad = small("good:1", content=b"good"), small("bad:1", content=b"bad")
    async with world.store() as store:
        for image in (good, bad):
            await store.load(docker_archive(image))
        descriptor = (await store.resolve("bad:1")).descriptor
    assert descriptor is not None
    (store.root / "blobs/sha256" / descriptor.digest[7:]).unlink()
    async with world.store() as store:
        assert (await store.resolve("good:1")).id == good.id
        with pytest.raises(NotFound):
            await store.resolve("bad:1")
        await store.load(docker_archive(bad))
        assert (await store.resolve("bad:1")).id == bad.id


async def test_a_parent_is_remembered(world: World) -> None:
    parent = small("p:1")
    child = images.Image([*parent.layers, tar([entry("more")])], {}, ("c:1",))
    async with world.store() as store:
        await store.load(docker_archive(parent))
        await store.load(with_parent(child, parent.id))
        assert (await store.resolve("c:1")).parent == parent.id
    async with world.store() as store:
        assert (await store.resolve("c:1")).parent == parent.id


def with_parent(image: images.Image, parent: str) -> bytes:
    names = [f"{number}/layer.tar" for number, _ in enumerate(image.layers)]
    manifest = [{"Config": "c.json", "RepoTags": list(image.tags), "Layers": names, "Parent": parent}]
    entries = [entry(name, data) for name, data in zip(names, image.layers, strict=True)]
    return tar([*entries, entry("c.json", image.config_json), entry("manifest.json", json.dumps(manifest).encode())])


async def test_all_that_is_kept_is_an_oci_layout(store: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    assert sorted(os.listdir(store.root)) == sorted(
        [
            "oci-layout",
            "index.json",
            "blobs",
            "layers",
            "l",
            "snapshots",
            "spares",
            "ingest",
            "init",
            "leases",
            "trash",
            "partial",
            "reserve",
        ]
    )
    for path in (store.root / "blobs/sha256").iterdir():
        assert images.digest(Path(path).read_bytes()) == f"sha256:{path.name}"
