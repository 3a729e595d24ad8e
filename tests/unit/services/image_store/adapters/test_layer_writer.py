from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from pathlib import Path

import pytest

from services.image_store.adapters.layer_writer import LayerWriter
from services.image_store.adapters.layers_local import LocalLayers
from services.image_store.adapters.layout import StoreLayout
from services.image_store.ports import Layer, Packed
from shared.config import Settings
from shared.contracts.common import Descriptor
from shared.errors import FailedPrecondition, ResourceExhausted
from tests.unit.services.image_store.adapters.conftest import Unpack

CAPABILITY = b"\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
BELOW = Layer(
    chain_id="sha256:" + "1" * 64, parent="", diff_id="", size=0, blob=Descriptor(media_type="m", digest="d", size=0)
)


class Packing:
    """A writable layer, and what comes of packing it."""

    def __init__(self, layout: StoreLayout, settings: Settings) -> None:
        self.writer = LayerWriter(layout, LocalLayers(layout), settings)
        self.upper, self.layout = layout.snapshots / "c1" / "upper", layout
        self.upper.mkdir(parents=True)
        self.below = layout.layers / ("1" * 64) / "diff"
        self.below.mkdir(parents=True)

    async def run(self, folder: Path, move: bool = False) -> Packed:
        return await self.writer.pack(self.upper, (BELOW,), folder, move)


@pytest.fixture
def packing(layout: StoreLayout, settings: Settings) -> Packing:
    return Packing(layout, settings)


def fill(top: Path) -> None:
    (top / "f").write_bytes(b"data")
    os.chown(top / "f", 7, 8)
    os.chmod(top / "f", 0o4755)
    os.setxattr(top / "f", "security.capability", CAPABILITY)
    os.link(top / "f", top / "g")
    os.symlink("nowhere", top / "l")
    os.mkfifo(top / "p", 0o600)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "gone", stat.S_IFCHR, 0)
    os.link(top / "gone", top / "gone too")  # overlayfs has one inode for all of them
    for name in ("new", "hides"):
        (top / name).mkdir()
        (top / name / "inner").touch()
        os.setxattr(top / name, "trusted.overlay.opaque", b"y")
    os.utime(top / "hides", ns=(1, 1_000_000_001))


def members(packed: Packed) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(packed.blob) as archive:
        return {each.name: each for each in archive}


def told(tree: Path) -> dict[str, tuple[object, ...]]:
    """All that matters of a tree."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        if stat.S_ISCHR(status.st_mode) and not status.st_rdev:
            found[path.name] = ("whiteout",)
            continue
        xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path, follow_symlinks=False)}
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(tree))] = (
            status.st_mode, status.st_uid, status.st_gid, status.st_rdev, status.st_mtime_ns, xattrs, content
        )  # fmt: skip
    return found


@pytest.mark.parametrize("move", [False, True])
async def test_archive_and_tree_of_a_layer(packing: Packing, unpack: Unpack, move: bool) -> None:
    fill(packing.upper)
    (packing.below / "hides").mkdir()
    async with packing.writer.folder() as folder:
        packed = await packing.run(folder, move)
        data = packed.blob.read_bytes()
        assert (packed.digest, packed.bytes) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
        assert (packed.size, packed.empty) == (11, False)
        names = members(packed)
        assert sorted(names) == [
            ".wh.gone", ".wh.gone too", "f", "g", "hides", "hides/.wh..wh..opq", "hides/inner", "l", "new", "new/inner",
            "null", "p",
        ]  # fmt: skip
        assert (names["g"].type, names["g"].linkname, names["f"].mode) == (tarfile.LNKTYPE, "f", 0o4755)
        assert names["f"].pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape")
        tree, unpacked = await unpack(data, True)
        assert (unpacked.digest, unpacked.size, unpacked.opaque) == (packed.digest, packed.size, ("hides",))
        mine = told(packed.folder / "diff")
        os.removexattr(packed.folder / "diff/new", "trusted.overlay.opaque")  # harmless: nothing is below
        mine["new"] = told(packed.folder / "diff")["new"]
        os.setxattr(tree / "hides", "trusted.overlay.opaque", b"y")
        assert mine == told(tree)
        assert (packed.folder / "diff/f").stat().st_nlink == 2
    assert packing.upper.exists() is not move
    assert list(packing.layout.ingest.glob("*/tree")) == []


async def test_nothing_was_written(packing: Packing) -> None:
    async with packing.writer.folder() as folder:
        packed = await packing.run(folder)
        assert (packed.empty, packed.size, packed.bytes) == (True, 0, 1024)
    os.chmod(packing.upper, 0o1777)
    async with packing.writer.folder() as folder:
        packed = await packing.run(folder)
        assert (packed.empty, members(packed)["."].mode) == (False, 0o1777)


async def test_holes_stay_holes(packing: Packing) -> None:
    with open(packing.upper / "holes", "wb") as file:
        file.seek(100 << 20)
        file.write(b"end")
    async with packing.writer.folder() as folder:
        packed = await packing.run(folder)
        assert packed.bytes > 100 << 20
        for path in (packed.blob, packed.folder / "diff/holes"):
            assert path.stat().st_blocks * 512 < 1 << 20
        with tarfile.open(packed.blob) as archive:
            content = archive.extractfile("holes")
            assert content is not None
            content.seek(100 << 20)
            assert content.read() == b"end"


async def test_more_than_could_be_unpacked_again(packing: Packing, settings: Settings) -> None:
    with open(packing.upper / "endless", "wb") as file:
        file.truncate(1 << 43)
    async with packing.writer.folder() as folder:
        with pytest.raises(ResourceExhausted, match=f"more than {settings.max_unpack_bytes} bytes"):
            await packing.run(folder)
    (packing.upper / "endless").unlink()
    for number in range(settings.max_unpack_entries + 1):
        (packing.upper / str(number)).touch()
    async with packing.writer.folder() as folder:
        with pytest.raises(ResourceExhausted, match=f"more than {settings.max_unpack_entries} entries"):
            await packing.run(folder)


async def test_a_tree_too_deep_for_paths_is_refused(packing: Packing) -> None:
    held = os.open(packing.upper, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=held)
        inner = os.open("d" * 250, os.O_RDONLY | os.O_DIRECTORY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(held)
    async with packing.writer.folder() as folder:
        with pytest.raises(FailedPrecondition, match="File name too long"):
            await packing.run(folder)


async def test_the_same_tree_makes_the_same_bytes(packing: Packing) -> None:
    fill(packing.upper)
    digests = set()
    for _ in range(2):
        async with packing.writer.folder() as folder:
            digests.add((await packing.run(folder)).digest)
    assert len(digests) == 1


@pytest.mark.parametrize("move", [False, True])
async def test_times_may_have_a_latest(packing: Packing, tmp_path: Path, move: bool) -> None:
    (packing.upper / "d").mkdir()
    for name, when in (("d/old", 5), ("d/new", 1_000_000_000_000)):
        (packing.upper / name).touch()
        os.utime(packing.upper / name, ns=(when, when * 1_000_000_000))
    os.symlink("x", packing.upper / "link")
    latest = 10_000_000_000
    packed = await packing.writer.pack(packing.upper, (BELOW,), tmp_path, move, latest)
    with tarfile.open(packed.blob) as archive:
        assert {member.name: member.mtime for member in archive} == {"d": 10, "d/old": 5, "d/new": 10, "link": 10}
    for name in ("d", "d/new", "link"):
        assert (packed.folder / "diff" / name).lstat().st_mtime_ns == latest
