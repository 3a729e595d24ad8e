"""The files of an image as its layers have them, one over the other, without mounting anything.

Every step down is one name beneath a held directory, and links are followed here: no name in a layer leads out of it.
Blocks; its users run it in threads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared import glob
from shared.archive import tar, writer
from shared.archive.tar import Header
from shared.errors import InvalidArgument, NotFound

MOST_LINKS = 255
DEEPEST = 500
CHUNK = 1 << 20
_OPAQUE = "trusted.overlay.opaque"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
          stat.S_IFCHR: "character", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}  # fmt: skip
_TAR_KINDS = {"file": tar.REGULAR, "directory": tar.DIRECTORY, "symlink": tar.SYMLINK, "fifo": tar.FIFO,
              "character": tar.CHARACTER, "block": tar.BLOCK_DEVICE}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One file: `name` beneath the directory `at`. `folder`: of a directory, itself in each layer that has it."""

    name: str
    at: int
    status: os.stat_result
    folder: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return _KINDS.get(stat.S_IFMT(self.status.st_mode), "other")


@dataclass(frozen=True)
class Resolved:
    """Where a path leads: `path` without a leading slash; `found` None: nothing there. `above`: the directories."""

    path: str
    found: Found | None
    above: tuple[tuple[str, os.stat_result], ...]


class ImageTree:
    """Of the given layers' trees, the topmost first. A context manager: descriptors are closed with it."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._open: set[int] = set()
        self._directories = directories
        self._folders: dict[str, Found] = {}

    def __enter__(self) -> ImageTree:
        tops = tuple(self._keep(os.open(each, _DIRECTORY)) for each in self._directories)
        if tops:
            self._root = Found("", tops[0], os.fstat(tops[0]), tops)
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.pop())

    def _keep(self, descriptor: int) -> int:
        self._open.add(descriptor)
        return descriptor

    def _drop(self, folder: Found, trail: list[str]) -> None:
        """Gives up the descriptors of a directory that was walked through."""
        self._folders.pop("/".join(trail), None)
        for descriptor in folder.folder:
            if descriptor in self._open:
                self._open.remove(descriptor)
                os.close(descriptor)

    def resolve(self, path: str) -> Resolved:
        """Follows every link, inside the image; `InvalidArgument` for links in a circle."""
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        trail: list[Found] = []
        links = 0
        while pending and self._directories:
            part = pending.pop()
            if part == "..":
                trail = trail[:-1]
                continue
            found = self._child(trail[-1] if trail else self._root, part, [each.name for each in trail])
            if found is None or (found.kind not in ("directory", "symlink") and pending):
                pending.append(part)
                break
            if found.kind == "symlink":
                links += 1
                if links > MOST_LINKS:
                    raise InvalidArgument(f"/{path[:200]}: too many levels of symbolic links")
                target = os.readlink(part, dir_fd=found.at)
                trail = [] if target.startswith("/") else trail
                pending += [each for each in reversed(target.split("/")) if each not in ("", ".")]
                continue
            trail.append(found)
        return self._resolved(trail, pending[::-1])

    def _resolved(self, trail: list[Found], rest: list[str]) -> Resolved:
        above, names = [], []
        for each in trail:
            names.append(each.name)
            if each.kind == "directory":
                above.append(("/".join(names), each.status))
        missing: list[str] = []
        for part in rest:
            if part == "..":
                (missing or names)[-1:] = []
            else:
                missing.append(part)
        there = None if rest or not self._directories else trail[-1] if trail else self._root
        root = [("", self._root.status)] if self._directories else []
        return Resolved("/".join(names + missing), there, tuple(root + above))

    def _child(self, parent: Found, name: str, trail: list[str]) -> Found | None:
        """What the layers together have under the name."""
        if len(os.fsencode(name)) > 255:
            return None
        key = "/".join((*trail, name))
        if key in self._folders:
            return self._folders[key]
        top: Found | None = None
        folder: list[int] = []
        for at in parent.folder:
            try:
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                if top is None and not _is_whiteout(status):
                    return Found(name, at, status)
                break
            inside = self._keep(os.open(name, _DIRECTORY, dir_fd=at))
            top = top or Found(name, at, status)
            folder.append(inside)
            if _is_opaque(inside):
                break
        if top is None:
            return None
        made = self._folders[key] = Found(top.name, top.at, top.status, tuple(folder))
        return made

    def _children(self, parent: Found, trail: list[str]) -> Iterator[Found]:
        names: set[str] = set()
        for at in parent.folder:
            names.update(os.listdir(at))
        for name in sorted(names):
            found = self._child(parent, name, trail)
            if found is not None:
                yield found

    def match(self, pattern: str) -> list[str]:
        """Paths that match a pattern of Go's `path.Match`; links are not followed."""
        if not self._directories or pattern.count("/") > DEEPEST:
            return []
        try:
            parts = [glob.parse(part) for part in pattern.split("/")]
        except InvalidArgument:
            return []
        return list(self._matching(self._root, [], parts))

    def _matching(self, parent: Found, trail: list[str], parts: list[tuple[glob.Token, ...]]) -> Iterator[str]:
        for child in self._children(parent, trail):
            if not glob.matches(parts[0], child.name):
                continue
            if len(parts) == 1:
                yield "/".join((*trail, child.name))
            elif child.folder:
                yield from self._matching(child, [*trail, child.name], parts[1:])
            self._drop(child, [*trail, child.name])

    def read(self, path: str, most: int) -> bytes:
        """A regular file's first `most` bytes; b"" when there is none."""
        found = self.resolve(path).found
        if found is None or found.kind != "file":
            return b""
        descriptor = os.open(found.name, _FILE, dir_fd=found.at)
        try:
            return os.read(descriptor, most)
        finally:
            os.close(descriptor)

    def archive(self, path: str) -> Generator[bytes, None, None]:
        """A tar of what is there and below, names relative to it (a file: its own name); raises `NotFound`."""
        resolved = self.resolve(path)
        if resolved.found is None:
            raise NotFound(f"/{path}: no such file or directory")
        links: dict[tuple[int, int], str] = {}
        if resolved.found.folder:
            yield from self._below(resolved.found, resolved.path.split("/") if resolved.path else [], "", links)
        else:
            yield from _entry(resolved.found, resolved.found.name, links)
        yield writer.END

    def _below(
        self, parent: Found, trail: list[str], prefix: str, links: dict[tuple[int, int], str]
    ) -> Iterator[bytes]:
        for child in self._children(parent, trail):
            yield from _entry(child, prefix + child.name, links)
            if len(trail) > DEEPEST:
                raise InvalidArgument(f"/{prefix[:200]}: more than {DEEPEST} folders inside one another")
            if child.folder:
                yield from self._below(child, [*trail, child.name], f"{prefix}{child.name}/", links)
                self._drop(child, [*trail, child.name])


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(directory: int) -> bool:
    try:
        return os.getxattr(directory, _OPAQUE) == b"y"
    except OSError:
        return False


def _entry(found: Found, name: str, links: dict[tuple[int, int], str]) -> Iterator[bytes]:
    status, kind = found.status, found.kind
    if kind not in _TAR_KINDS:
        return
    header = Header(
        name=f"{name}/" if kind == "directory" else name,
        kind=_TAR_KINDS[kind],
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
    )
    if kind == "symlink":
        header.link = os.readlink(found.name, dir_fd=found.at)
    if kind != "file":
        yield writer.encode(header)
        return
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and inode in links:
        header.kind, header.link = tar.HARD_LINK, links[inode]
        yield writer.encode(header)
        return
    links[inode] = name
    yield from _contents(found, header)


def _contents(found: Found, header: Header) -> Iterator[bytes]:
    descriptor = os.open(found.name, _FILE, dir_fd=found.at)
    try:
        header.size = left = os.fstat(descriptor).st_size
        with suppress(OSError):
            header.xattrs = {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)
                             if not name.startswith("trusted.")}  # fmt: skip
        yield writer.encode(header)
        while left:
            piece = os.read(descriptor, min(left, CHUNK))
            if not piece:
                raise OSError(5, f"{found.name} became shorter while it was read")
            left -= len(piece)
            yield piece
        yield writer.padding(header.size)
    finally:
        os.close(descriptor)
