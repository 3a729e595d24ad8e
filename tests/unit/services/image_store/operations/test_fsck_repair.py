"""What mending leaves, and that a store begins on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.image_store.operations.fsck import Check, Checked
from services.image_store.operations.fsck_repair import Repairing
from shared.contracts.common import Ref
from shared.contracts.image_store import SNAPSHOT
from shared.errors import NotFound
from tests.support.image_store import World, small
from tools import images
from tools.images import docker_archive

GOOD, BAD = small("good:1", below=b"below"), small("bad:1", below=b"below", content=b"bad")


@pytest.fixture
async def root(world: World) -> Path:
    async with world.store() as store:
        for image in (GOOD, BAD):
            await store.load(docker_archive(image))
        await store.prepare("c1", "bad:1")
    return store.root


async def repaired(root: Path) -> tuple[list[str], Checked]:
    """What was mended, and what is left."""
    work = Repairing(Check(root))
    left = await work.run()
    return [each.repair for each in work.mended], left


async def test_a_sound_store_stays_as_it_is(root: Path) -> None:
    before = sorted(path for path in root.rglob("*"))
    mended, left = await repaired(root)
    assert (mended, left.findings, left.images) == ([], [], 2)
    assert sorted(path for path in root.rglob("*") if "trash" not in str(path)) == [
        path for path in before if "trash" not in str(path)
    ]


async def test_what_is_damaged_is_forgotten_and_comes_again(world: World, root: Path) -> None:
    blob = root / "blobs/sha256" / images.digest(BAD.layers[1])[7:]
    blob.write_bytes(b"wrong")
    mended, left = await repaired(root)
    assert mended[:2] == ["remove", "forget"]
    assert (left.findings, left.images, left.snapshots) == ([], 1, 1)
    async with world.store() as store:
        assert (await store.resolve("good:1")).id == GOOD.id
        with pytest.raises(NotFound):
            await store.resolve("bad:1")
        upper = await store.call(SNAPSHOT, Ref(id="c1"))  # its container goes on
        assert upper.mounts
        await store.load(docker_archive(BAD))
        assert (await store.resolve("bad:1")).id == BAD.id
    assert Check(root).run().findings == []


async def test_an_index_is_made_anew(world: World, root: Path) -> None:
    (root / "index.json").write_bytes(b"torn")
    mended, left = await repaired(root)
    assert (mended, left.findings, left.images) == (["index"], [], 2)
    async with world.store() as store:
        assert {(await store.resolve(name)).id for name in ("good:1", "bad:1")} == {GOOD.id, BAD.id}


async def test_a_torn_layer_is_unpacked_by_the_next_start(world: World, root: Path) -> None:
    for path in (root / "layers").iterdir():
        shutil.rmtree(path / "diff")
    mended, left = await repaired(root)
    assert set(mended) == {"remove"}
    assert {each.repair for each in left.findings} == {"unpack"}
    async with world.store():
        pass
    assert Check(root).run().findings == []


async def test_what_cannot_be_mended_is_left(root: Path) -> None:
    blob = root / "blobs/sha256" / images.digest(BAD.layers[1])[7:]
    blob.unlink()
    for path in (root / "layers").iterdir():
        shutil.rmtree(path)
    (root / "snapshots/c1/upper/own").write_text("precious")
    _, left = await repaired(root)
    assert [(each.level, each.subject) for each in left.findings if each.level == "damage"] == [
        ("damage", "snapshots/c1")
    ]
    assert (root / "snapshots/c1/upper/own").read_text() == "precious"


async def test_leftovers_go(root: Path) -> None:
    (root / "ingest/abc/0").mkdir(parents=True)
    (root / "trash/def").mkdir()
    (root / "blobs/sha256/x").touch()
    mended, left = await repaired(root)
    assert (mended, left.findings) == (["remove"] * 2, [])
    assert [*(root / "trash").iterdir(), *(root / "ingest").iterdir()] == []
