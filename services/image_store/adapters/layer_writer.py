"""Making layers of writable ones: one walk writes the archive, hashes it and copies the tree.

The container may be at work meanwhile: nothing is done by a path that it could turn elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared import telemetry
from shared.archive import tar
from shared.archive.remove_tree import remove_tree
from shared.archive.tar import Header
from shared.archive.tree import CHUNK, Found, contents, walk
from shared.archive.writer import TarWriter
from shared.config import Settings
from shared.errors import FailedPrecondition, ResourceExhausted
from shared.paths import open_beneath
from shared.shielded import in_thread

from ..domain.entries import OPAQUE, WHITEOUT
from ..ports import Layer, Packed
from . import disk
from .layers_local import LocalLayers
from .layout import StoreLayout

_OPAQUE_MARK = "trusted.overlay.opaque"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ZEROS = bytes(CHUNK)


class LayerWriter:
    """Works in folders of its own below `ingest`, which a start of the service sweeps."""

    def __init__(self, layout: StoreLayout, layers: LocalLayers, settings: Settings) -> None:
        self._layout, self._layers = layout, layers
        self._most_bytes, self._most_entries = settings.max_unpack_bytes, settings.max_unpack_entries

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        made = self._layout.ingest / secrets.token_hex(8)
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            await asyncio.to_thread(remove_tree, str(made))

    async def pack(self, upper: Path, below: tuple[Layer, ...], folder: Path, move: bool, latest: int = 0) -> Packed:
        trees = tuple(self._layers.directory(layer) / "diff" for layer in below)
        with telemetry.span("pack layer"):
            top = below[0] if below else None
            return await in_thread(self._pack, upper, top, trees, folder, move, latest)

    def _pack(
        self, upper: Path, top: Layer | None, trees: tuple[Path, ...], folder: Path, move: bool, latest: int
    ) -> Packed:
        target, blob = folder / "tree", folder / "layer"
        target.mkdir(mode=0o700)
        if not move:
            (target / "diff").mkdir()
        with _Packing(upper, None if move else target / "diff", trees, blob) as packing:
            packing.limits = self._most_bytes, self._most_entries
            packing.latest = latest
            empty = _readable(lambda: packing.run(top))
            digest, size = packing.archive.digest, packing.writer.size
        if move:
            os.rename(upper, target / "diff")
        return Packed(folder=target, blob=blob, digest=digest, bytes=size, size=packing.size, empty=empty)


def _readable(work: Callable[[], bool]) -> bool:
    """`FailedPrecondition` for a tree that cannot be walked to its end; a full disk is told by who called."""
    try:
        return work()
    except OSError as error:
        if error.errno in disk.FULL:
            raise
        raise FailedPrecondition(f"cannot read the writable layer: {error.filename}: {error.strerror}") from None


class _Archive:
    """The file that becomes the blob: hashed as it is written, zeros left as holes."""

    def __init__(self, path: Path) -> None:
        self._out = os.open(path, _NEW_FILE, 0o600)
        self._hash = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        _write(self._out, data)

    def zeros(self, count: int) -> None:
        os.lseek(self._out, count, os.SEEK_CUR)
        while count > 0:
            self._hash.update(memoryview(_ZEROS)[:count])
            count -= len(_ZEROS)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def close(self) -> None:
        os.close(self._out)


class _Packing:
    """One layer being made."""

    limits = (0, 0)
    latest = 0

    def __init__(self, upper: Path, copy: Path | None, below: tuple[Path, ...], blob: Path) -> None:
        self._upper = os.open(upper, _DIRECTORY)
        self._below = [os.open(tree, _DIRECTORY) for tree in below]
        self._copy = _Copy(copy) if copy else None
        self.archive = _Archive(blob)
        self.writer = TarWriter(self.archive.write, self.archive.zeros)
        self._buffer = memoryview(bytearray(CHUNK))
        self.size = self._entries = 0

    def __enter__(self) -> _Packing:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._upper, *self._below):
            os.close(descriptor)
        if self._copy:
            self._copy.close()
        self.archive.close()

    def run(self, top: Layer | None) -> bool:
        """Whether there was nothing to say."""
        for found in walk(self._upper):
            if self.latest:
                found.header.mtime = min(found.header.mtime, self.latest)
            if self._copy:
                self._copy.add(found)
            if found.path or not _like(found, top):
                self._entry(found)
            if not self._copy:
                _cut_times(found)
        empty = not self._entries
        self.writer.end()
        if self._copy:
            self._copy.finish()
        return empty

    def _entry(self, found: Found) -> None:
        header = found.header
        if _is_whiteout(found.status):
            return self._write(_mark(f"{_parent(found.path)}{WHITEOUT}{found.name}", header))
        header.name = header.name if found.path else "./"
        if header.kind == tar.REGULAR:
            self._write(header, self._data(found))
        else:
            self._write(header)
        if header.kind in (tar.REGULAR, tar.SYMLINK):
            self.size += found.status.st_size
        if header.kind == tar.DIRECTORY and self._hides(found):
            self._write(_mark(f"{found.path}/{OPAQUE}", header))
        return None

    def _data(self, found: Found) -> Iterator[tuple[int, memoryview]]:
        """Read once, so that tree and archive agree whatever is written to the file meanwhile."""
        parts = contents(found.descriptor, found.status, self._buffer)
        return self._copy.file(found, parts) if self._copy else parts

    def _write(self, header: Header, parts: Iterator[tuple[int, memoryview]] | tuple[()] = ()) -> None:
        most_bytes, most_entries = self.limits
        self._entries += 1
        if self._entries > most_entries or self.writer.size + header.size > most_bytes:
            what = f"{most_entries} entries" if self._entries > most_entries else f"{most_bytes} bytes"
            raise ResourceExhausted(f"the layer would have more than {what}")
        self.writer.add(header, parts)

    def _hides(self, found: Found) -> bool:
        """Whether a directory hides one below. (overlayfs marks new ones as well.)"""
        try:
            if os.getxattr(found.descriptor, _OPAQUE_MARK) != b"y":
                return False
        except OSError:
            return False
        return any(_is_directory(tree, found.path) for tree in self._below)


class _Copy:
    """The same tree a second time: what the image keeps when the container goes on."""

    def __init__(self, target: Path) -> None:
        self._root = os.open(target, _DIRECTORY)
        self._directory = os.dup(self._root)
        self._times: list[tuple[str, int]] = []

    def close(self) -> None:
        os.close(self._root)
        os.close(self._directory)

    def add(self, found: Found) -> None:
        """Makes what has no data."""
        header, at = found.header, self._directory
        if header.kind == tar.DIRECTORY:
            return self._enter(found)
        if header.kind == tar.HARD_LINK:
            return os.link(header.link, found.name, src_dir_fd=self._root, dst_dir_fd=at, follow_symlinks=False)
        if header.kind == tar.REGULAR:
            return None
        if header.kind == tar.SYMLINK:
            os.symlink(header.link, found.name, dir_fd=at)
        else:
            os.mknod(found.name, found.status.st_mode, found.status.st_rdev, dir_fd=at)
        os.chown(found.name, header.uid, header.gid, dir_fd=at, follow_symlinks=False)
        if header.kind != tar.SYMLINK:
            os.chmod(found.name, header.mode, dir_fd=at)
        os.utime(found.name, ns=(header.mtime, header.mtime), dir_fd=at, follow_symlinks=False)
        return None

    def _enter(self, found: Found) -> None:
        if found.path:
            os.mkdir(found.path, 0o700, dir_fd=self._root)
            os.close(self._directory)
            self._directory = open_beneath(self._root, found.path, _DIRECTORY)
        _describe(self._directory, found.header)
        try:
            os.setxattr(self._directory, _OPAQUE_MARK, os.getxattr(found.descriptor, _OPAQUE_MARK))
        except OSError:
            pass  # it has none
        self._times.append((found.path, found.header.mtime))

    def file(self, found: Found, parts: Iterator[tuple[int, memoryview]]) -> Iterator[tuple[int, memoryview]]:
        """Writes a file's parts as they pass."""
        out = os.open(found.name, _NEW_FILE, 0o600, dir_fd=self._directory)
        try:
            for offset, piece in parts:
                os.lseek(out, offset, os.SEEK_SET)
                _write(out, piece)
                yield offset, piece
            os.ftruncate(out, found.header.size)
            _describe(out, found.header)
            os.utime(out, ns=(found.header.mtime, found.header.mtime))
        finally:
            os.close(out)

    def finish(self) -> None:
        """Times of directories last: making what is in them has changed them."""
        for path, mtime in reversed(self._times):
            inside = open_beneath(self._root, path, _DIRECTORY)
            os.utime(inside, ns=(mtime, mtime))
            os.close(inside)


def _describe(target: int, header: Header) -> None:
    os.fchown(target, header.uid, header.gid)  # first: it drops special bits and file capabilities
    os.fchmod(target, header.mode)
    for name, value in header.xattrs.items():
        os.setxattr(target, name, value)


def _cut_times(found: Found) -> None:
    """The tree says what its archive says."""
    if found.status.st_mtime_ns == found.header.mtime or found.header.kind == tar.HARD_LINK:
        return
    times = found.header.mtime, found.header.mtime
    if found.descriptor >= 0:
        os.utime(found.descriptor, ns=times)
    else:
        os.utime(found.name, ns=times, dir_fd=found.parent, follow_symlinks=False)


def _like(found: Found, top: Layer | None) -> bool:
    """Whether the root directory says no more than the layers below it do."""
    header = found.header
    below = (top.mode, top.uid, top.gid) if top else (0o755, 0, 0)
    return (header.mode, header.uid, header.gid) == below and not header.xattrs


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_directory(tree: int, path: str) -> bool:
    try:
        os.close(open_beneath(tree, path, os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _mark(name: str, about: Header) -> Header:
    """An empty file that stands for something that is hidden (OCI image-spec, «Whiteouts»)."""
    return Header(name=name, mode=0o600, uid=about.uid, gid=about.gid, mtime=about.mtime)


def _parent(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _write(out: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(out, rest) :]
