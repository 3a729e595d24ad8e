from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared.errors import DataLoss
from tests.support.image_store import Store, World, small
from tools import images
from tools.images import docker_archive


async def lose_trees(store: Store) -> None:
    """What a power cut may do: the records say another boot, and the trees are half there."""
    for path in (store.root / "layers").iterdir():
        (path / "synced").unlink(missing_ok=True)
        record = path / "layer.json"
        record.write_bytes(record.read_bytes().replace(b'"boot":"', b'"boot":"earlier-'))
        shutil.rmtree(path / "diff")


@pytest.mark.parametrize("form", ["none", "gzip"])
async def test_trees_come_again_from_their_blobs(world: World, form: images.Compression) -> None:
    image = small("a:1", below=b"below")
    async with world.store() as store:
        await store.load(docker_archive(image, form))
        before = await store.resolve("a:1")
    await lose_trees(store)
    async with world.store() as store:
        assert await store.resolve("a:1") == before
        snapshot = await store.prepare("c1", "a:1")
        lower = snapshot.mounts[0].options[0].removeprefix("lowerdir=").split(":")[:-1]
        assert [Path(path, name).read_text() for path, name in zip(lower, ("file", "below"), strict=True)] == [
            "content",
            "below",
        ]
        assert store.leftovers() == []


async def test_a_layer_whose_blob_is_damaged_too(world: World) -> None:
    good, bad = small("good:1", content=b"good"), small("bad:1", content=b"bad")
    async with world.store() as store:
        for image in (good, bad):
            await store.load(docker_archive(image))
    await lose_trees(store)
    blob = store.root / "blobs/sha256" / images.digest(bad.layers[0])[7:]
    blob.write_bytes(blob.read_bytes().replace(b"bad", b"BAD"))
    async with world.store() as store:
        assert (await store.prepare("c1", "good:1")).mounts
        with pytest.raises(DataLoss, match="is missing"):
            await store.prepare("c2", "bad:1")
