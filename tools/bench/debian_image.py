"""An image like those people have: three layers of Debian packages, about 300 MB in more than 20,000 files.

Made once, without running anything that is unpacked, and kept.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.images import BUSYBOX, CREATED
from tools.toolchain.debian import PrivateApt, unpack

CACHE = Path(os.environ.get("SHOAL_BENCH_CACHE", "/var/cache/shoal-bench"))
SUITE = "bookworm"
LAYERS = (("base-files", "bash", "coreutils", "perl"), ("libboost1.81-dev",), ("python3",))
"""What each layer is made of, with all it depends on that those below lack."""
REPOSITORY = "bench-debian"
MOST_FILES = 1
"""The layer with most of the files."""


@dataclass(frozen=True)
class DebianImage:
    """`folder` has each layer: `N.tar`, `N.tar.gz`; a variant `image.tar` too, as older Dockers save it."""

    folder: Path

    @property
    def tag(self) -> str:
        """Every image made has its own."""
        return self.folder.name

    @property
    def name(self) -> str:
        return f"{REPOSITORY}:{self.tag}"

    @property
    def archive(self) -> Path:
        return self.folder / "image.tar"

    @property
    def config(self) -> bytes:
        return (self.folder / "config.json").read_bytes()

    def layer(self, number: int, suffix: str = ".tar") -> Path:
        return self.folder / f"{number}{suffix}"

    def blobs(self) -> list[Path]:
        """The layers as a registry has them, from the lowest one up."""
        return [self.layer(number, ".tar.gz") for number in range(len(LAYERS))]


def made() -> DebianImage:
    """The image, made by the first who asks; that takes minutes and a Debian mirror."""
    key = hashlib.sha256(f"2 {SUITE} {LAYERS}".encode()).hexdigest()[:16]
    folder = CACHE / f"debian-{key}"
    with _alone(folder):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                _make(Path(work)).rename(folder)
    return DebianImage(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(work: Path) -> Path:
    target = work / "image"
    target.mkdir()
    for number, tree in enumerate(_trees(work)):
        pack(tree, target / f"{number}.tar")
        shutil.rmtree(tree)
    return target


def _trees(work: Path) -> Iterator[Path]:
    apt = work / "apt"
    apt.mkdir()
    private, done = PrivateApt(apt, (SUITE,)), set[Path]()
    private.update()
    for number, packages in enumerate(LAYERS):
        tree = work / f"tree{number}"
        tree.mkdir()
        for package in private.download(SUITE, packages):
            if package not in done:
                done.add(package)
                unpack(package, tree)
        if not number:
            shutil.copy(BUSYBOX, tree / "usr/bin/busybox")
        for archive in tree.rglob("*.a"):
            archive.unlink()
        yield tree


def pack(tree: Path, target: Path) -> None:
    """A tree as a layer: `target`, and the same compressed beside it."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as opened:
        for name in sorted(str(path.relative_to(tree)) for path in tree.rglob("*")):
            opened.add(tree / name, name, recursive=False, filter=_whole_seconds)
    with target.open("rb") as plain, gzip.GzipFile(f"{target}.gz", "wb", 6, mtime=0) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)


def _whole_seconds(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """As engines write layers."""
    entry.mtime = int(entry.mtime)
    return entry


@contextmanager
def variant(image: DebianImage) -> Iterator[DebianImage]:
    """The same image, but for a file more in each layer: no engine that has others of them can spare itself any work.

    So none has to be removed between samples: for minutes ext4 makes files slowly where many were removed.
    """
    with tempfile.TemporaryDirectory(prefix="image-", dir=CACHE) as work:
        mark = Path(work).name.encode()
        info = tarfile.TarInfo("usr/bench-variant")
        info.size = len(mark)
        front = info.tobuf(tarfile.PAX_FORMAT) + mark.ljust(tarfile.BLOCKSIZE, b"\0")
        for number in range(len(LAYERS)):
            _join(front, image.layer(number), Path(work))
            _join(gzip.compress(front, mtime=0), image.layer(number, ".tar.gz"), Path(work))
        describe(Path(work), len(LAYERS))
        yield DebianImage(Path(work))


def _join(front: bytes, source: Path, folder: Path) -> None:
    with source.open("rb") as rest, (folder / source.name).open("wb") as target:
        target.write(front)
        shutil.copyfileobj(rest, target, 1 << 20)


def describe(folder: Path, layers: int) -> None:
    """Writes `config.json` and `image.tar` for the layers that lie there."""
    names = [f"{number}.tar" for number in range(layers)]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": CREATED,
        "config": {"Cmd": ["/bin/bash"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(folder / name)}" for name in names]},
        "history": [{"created": CREATED, "created_by": name} for name in names],
    }
    (folder / "config.json").write_text(json.dumps(document))
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [DebianImage(folder).name], "Layers": names}]).encode()
    _bundle(folder, ("config.json", *names), manifest)


def _bundle(folder: Path, names: Sequence[str], manifest: bytes) -> None:
    with tarfile.open(folder / "image.tar", "w") as opened:
        for name in names:
            opened.add(folder / name, name)
        info = tarfile.TarInfo("manifest.json")
        info.size = len(manifest)
        opened.addfile(info, io.BytesIO(manifest))


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
