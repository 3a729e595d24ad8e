"""The sending end: what is in a tree, and later what is other than it was.

Whether a file changed is seen by its identity, size and times. What that cannot see is looked at anyway:

- Writes through a shared mapping change a file's times only when they touch a page for the first time since it was
  written back. So a file is written back (fdatasync) before its times are taken and its bytes are read, while
  somebody may write.
- Two writes in one tick of the kernel's clock leave the same times. What changed a moment ago is looked at again.

Of a file that changed only the blocks go whose digest is another one. No link is followed and no device is opened.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.archive.tree import contents
from shared.archive.xattrs import read_xattrs
from shared.clock import now_ns
from shared.paths import open_beneath

from .records import Data, End, Gone, Node, Record, encode

BLOCK = 64 << 10
PIECE = 1 << 20
TICK = 100_000_000
"""Nanoseconds for which times that a file has just got are not trusted."""
OPAQUE = "trusted.overlay.opaque"
"""A directory of a writable layer that hides what is below it (kernel, Documentation/filesystems/overlayfs)."""
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOATIME

Signature = tuple[int, ...]


@dataclass(slots=True)
class _Seen:
    """As of the last pass. `first`: of several names of a file the one it was sent by. `racy`: the times may
    deceive.
    """

    signature: Signature
    kind: int
    inode: int
    first: str = ""
    racy: bool = False
    blocks: list[bytes] = field(default_factory=list)


class TreeSource:
    """One tree; each `changes` is a pass over all of it. Its methods wait for the disk: call them in a thread."""

    def __init__(self, root: str, prefix: str = "") -> None:
        """`prefix`: of the names right beneath the root only those that begin with it."""
        self._root, self._prefix = root, prefix
        self._seen: dict[str, _Seen] = {}
        self._buffer = memoryview(bytearray(PIECE))
        self.changed = 0
        """How many things differed in the last pass."""

    def changes(self, still: bool) -> Iterator[bytes]:
        """The records of one pass, in pieces. `still`: nobody writes any more. Raises `OSError`."""
        self.changed = 0
        root = os.open(self._root, _DIRECTORY)
        try:
            before, self._seen = self._seen, {}
            yield from _pieces(self._pass(root, before, still))
        finally:
            os.close(root)

    def _pass(self, root: int, before: dict[str, _Seen], still: bool) -> Iterator[Record]:
        links: dict[tuple[int, int], str] = {}
        pending = [""]
        while pending:
            path = pending.pop()
            try:
                directory = open_beneath(root, path, _DIRECTORY)
            except OSError as error:
                if error.errno in _VANISHED and path:
                    continue
                raise
            try:
                yield from self._directory(directory, path, before)
                below: list[str] = []
                for name in self._names(directory, path):
                    yield from self._entry(
                        directory, name, f"{path}/{name}" if path else name, before, links, below, still
                    )
            finally:
                os.close(directory)
            pending += reversed(below)
        yield from self._gone(before)

    def _names(self, directory: int, path: str) -> list[str]:
        names = sorted(os.listdir(directory))
        return names if path or not self._prefix else [name for name in names if name.startswith(self._prefix)]

    def _directory(self, directory: int, path: str, before: dict[str, _Seen]) -> Iterator[Record]:
        status = os.fstat(directory)
        now = _Seen((status.st_ctime_ns, *_described(status)), stat.S_IFMT(status.st_mode), status.st_ino)
        was = before.pop(path, None)
        now.racy = _racy(status)
        self._seen[path] = now
        if self._prefix and not path:
            return  # not all of it is sent
        if was is None or was.racy or was.signature != now.signature or was.inode != now.inode:
            self.changed += 1
            fresh = was is None or was.kind != now.kind
            xattrs = read_xattrs(directory) | _opaque(directory)
            yield Node(os.fsencode(path), status.st_mode, *_described(status)[1:4], fresh=fresh, xattrs=xattrs)

    def _entry(
        self,
        directory: int,
        name: str,
        path: str,
        before: dict[str, _Seen],
        links: dict[tuple[int, int], str],
        below: list[str],
        still: bool,
    ) -> Iterator[Record]:
        try:
            status = os.lstat(name, dir_fd=directory)
            if stat.S_ISDIR(status.st_mode):
                below.append(path)
                return
            identity = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and (first := links.setdefault(identity, path)) != path:
                yield from self._link(path, first, status, before)
            elif stat.S_ISREG(status.st_mode):
                yield from self._file(directory, name, path, status, before, still)
            else:
                yield from self._special(directory, name, path, status, before)
        except OSError as error:
            if error.errno not in _VANISHED:
                raise

    def _link(self, path: str, first: str, status: os.stat_result, before: dict[str, _Seen]) -> Iterator[Record]:
        was = before.pop(path, None)
        self._seen[path] = _Seen((), stat.S_IFREG, status.st_ino, first)
        if was is None or was.first != first or was.inode != status.st_ino:
            self.changed += 1
            yield Node(os.fsencode(path), status.st_mode, target=os.fsencode(first), hard=True)

    def _special(
        self, directory: int, name: str, path: str, status: os.stat_result, before: dict[str, _Seen]
    ) -> Iterator[Record]:
        """Symbolic links, devices (whiteouts among them), fifos, sockets: made anew when they are other than they
        were.
        """
        was = before.pop(path, None)
        now = _Seen(
            (status.st_ctime_ns, status.st_rdev, *_described(status)), stat.S_IFMT(status.st_mode), status.st_ino
        )
        now.racy = _racy(status)
        self._seen[path] = now
        if was is None or was.racy or was.signature != now.signature or was.inode != now.inode:
            self.changed += 1
            target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else ""
            yield Node(
                os.fsencode(path), status.st_mode, *_described(status)[1:4], device=status.st_rdev,
                target=os.fsencode(target),
            )  # fmt: skip

    def _file(
        self, directory: int, name: str, path: str, status: os.stat_result, before: dict[str, _Seen], still: bool
    ) -> Iterator[Record]:
        was = before.pop(path, None)
        if was is not None and not was.racy and not was.first and was.signature == _file_signature(status):
            self._seen[path] = was
            return
        opened = _open(directory, name)
        try:
            status = os.fstat(opened)
            if not stat.S_ISREG(status.st_mode):
                return  # something else has its name: the next pass sees it
            if not still:
                os.fdatasync(opened)
                status = os.fstat(opened)
            same = was is not None and not was.first and was.kind == stat.S_IFREG and was.inode == status.st_ino
            now = _Seen(_file_signature(status), stat.S_IFREG, status.st_ino, racy=_racy(status))
            self._seen[path] = now
            self.changed += 1
            yield Node(
                os.fsencode(path), status.st_mode, *_described(status)[1:4], size=status.st_size, fresh=not same,
                xattrs=read_xattrs(opened),
            )  # fmt: skip
            yield from self._blocks(opened, status, now, was.blocks if was is not None and same else [])
        finally:
            os.close(opened)

    def _blocks(self, opened: int, status: os.stat_result, now: _Seen, before: list[bytes]) -> Iterator[Data]:
        """Those that differ, neighbours together; what became a hole is sent as zeros."""
        now.blocks = [b""] * ((status.st_size + BLOCK - 1) // BLOCK)
        touched = set()
        for offset, piece in _aligned(opened, status, self._buffer):
            run = -1
            for start in range(0, len(piece), BLOCK):
                number = (offset + start) // BLOCK
                digest = hashlib.blake2b(piece[start : start + BLOCK], digest_size=16).digest()
                now.blocks[number] = digest
                touched.add(number)
                if number < len(before) and before[number] == digest:
                    if run >= 0:
                        yield Data(offset + run, bytes(piece[run:start]))
                    run = -1
                elif run < 0:
                    run = start
            if run >= 0:
                yield Data(offset + run, bytes(piece[run:]))
        for number in range(min(len(before), len(now.blocks))):
            if before[number] and number not in touched:
                at = number * BLOCK
                yield Data(at, bytes(min(BLOCK, status.st_size - at)))

    def _gone(self, before: dict[str, _Seen]) -> Iterator[Gone]:
        """The upper ones first; what was in them needs no word of its own."""
        last = None
        for path in sorted(before):
            if last is None or not path.startswith(last):
                self.changed += 1
                yield Gone(os.fsencode(path))
                last = f"{path}/"


def _open(directory: int, name: str) -> int:
    try:
        return os.open(name, _FILE, dir_fd=directory)
    except PermissionError:  # O_NOATIME is for the owner, and who may act as such
        return os.open(name, _FILE & ~os.O_NOATIME, dir_fd=directory)


def _described(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def _file_signature(status: os.stat_result) -> Signature:
    return (status.st_ino, status.st_size, status.st_ctime_ns, status.st_nlink > 1, *_described(status))


def _racy(status: os.stat_result) -> bool:
    return now_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < TICK


def _opaque(directory: int) -> dict[str, bytes]:
    try:
        return {OPAQUE: os.getxattr(directory, OPAQUE)}
    except OSError:
        return {}


def _aligned(opened: int, status: os.stat_result, buffer: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The file's data in pieces that begin and end at blocks, or at the file's end; blocks without any data are left
    out.
    """
    done = 0
    for offset, piece in contents(opened, status, buffer):
        start = max(done, offset // BLOCK * BLOCK)
        end = min((offset + len(piece) + BLOCK - 1) // BLOCK * BLOCK, status.st_size)
        if start == offset and end == offset + len(piece):
            yield offset, piece
        else:
            for at in range(start, end, PIECE):  # an extent's edge inside a block: read again, with the hole's zeros
                yield at, memoryview(os.pread(opened, min(PIECE, end - at), at))
        done = max(done, end)


def _pieces(records: Iterator[Record]) -> Iterator[bytes]:
    """Many small records in one piece."""
    parts: list[bytes] = []
    size = count = 0
    for record in records:
        part = encode(record)
        parts.append(part)
        size, count = size + len(part), count + 1
        if size >= PIECE:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(encode(End(count)))
    yield b"".join(parts)
