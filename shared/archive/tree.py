"""Walking a tree that strangers may be changing, as entries of an archive."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from shared.archive import tar
from shared.archive.tar import Header
from shared.archive.xattrs import read_xattrs
from shared.paths import open_beneath

CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What was listed is gone, or something else has its name."""
_KINDS = {
    stat.S_IFREG: tar.REGULAR,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.BLOCK_DEVICE,
    stat.S_IFIFO: tar.FIFO,
}


@dataclass(slots=True)
class Found:
    """One entry: its header, and open until the next one: the file or directory itself, and where it lies.

    `path` is beneath the tree's root, "" for the root; `descriptor` is -1 for what is neither file nor directory,
    and for a further name of a file that came before (`header.kind` is then HARD_LINK).
    """

    path: str
    header: Header
    status: os.stat_result
    descriptor: int
    parent: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def walk(root: int, top: str = "", across_mounts: bool = False) -> Iterator[Found]:
    """All of the directory `top` beneath the directory `root`: each directory before what is in it, names in order.

    No link is followed and no device opened, whatever happens to the tree meanwhile; what vanishes is left out.
    Sockets are left out, too. Raises `OSError`, for one for a path longer than paths can be.
    """
    links: dict[tuple[int, int], str] = {}
    pending = [top]
    while pending:
        path = pending.pop()
        try:
            directory = open_beneath(root, path, _DIRECTORY, across_mounts)
        except OSError as error:
            if error.errno in _CHANGED and path != top:
                continue
            raise
        try:
            yield Found(path, _header(path, os.fstat(directory), directory), os.fstat(directory), directory, -1)
            below = []
            for name in sorted(os.listdir(directory)):
                inner = f"{path}/{name}" if path else name
                found = yield from _entry(directory, name, inner, links)
                if found:
                    below.append(inner)
        finally:
            os.close(directory)
        pending += reversed(below)


def only(held: int, name: str) -> Iterator[Found]:
    """One thing that is no directory, by a descriptor (O_PATH will do); nothing for a socket."""
    status = os.fstat(held)
    if stat.S_IFMT(status.st_mode) in _KINDS:
        yield from _file(held, status, -1, name, {})


def _entry(directory: int, name: str, path: str, links: dict[tuple[int, int], str]) -> Generator[Found, None, bool]:
    """Tells (as the generator's value) whether it is a directory, which is not entered here."""
    try:
        held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return False
    try:
        status = os.fstat(held)
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind == tar.DIRECTORY:
            return True
        if kind is not None:
            yield from _file(held, status, directory, path, links)
    finally:
        os.close(held)
    return False


def _file(
    held: int, status: os.stat_result, directory: int, path: str, links: dict[tuple[int, int], str]
) -> Iterator[Found]:
    identity = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and (first := links.setdefault(identity, path)) != path:
        header = Header(name=path, kind=tar.HARD_LINK, mode=stat.S_IMODE(status.st_mode), link=first,
                        uid=status.st_uid, gid=status.st_gid, mtime=_seconds(status))  # fmt: skip
        yield Found(path, header, status, -1, directory)
    elif stat.S_ISREG(status.st_mode):
        opened = os.open(f"/proc/self/fd/{held}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Found(path, _header(path, status, opened), status, opened, directory)
        finally:
            os.close(opened)
    else:
        header = _header(path, status, -1)
        if header.kind == tar.SYMLINK:
            header.link = os.readlink("", dir_fd=held)
        yield Found(path, header, status, -1, directory)


def _seconds(status: os.stat_result) -> int:
    return status.st_mtime_ns // 1_000_000_000 * 1_000_000_000


def _header(path: str, status: os.stat_result, descriptor: int) -> Header:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    device = kind in (tar.CHARACTER, tar.BLOCK_DEVICE)
    return Header(
        name=f"{path}/" if kind == tar.DIRECTORY else path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind == tar.REGULAR else 0,
        mtime=_seconds(status),
        major=os.major(status.st_rdev) if device else 0,
        minor=os.minor(status.st_rdev) if device else 0,
        xattrs=read_xattrs(descriptor) if descriptor >= 0 else {},
    )


def contents(descriptor: int, status: os.stat_result, buffer: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The data of an open file, as (offset, bytes) pieces that lie in `buffer` until the next; holes are left out."""
    at, size = 0, status.st_size
    sparse = status.st_blocks * 512 < size
    while at < size:
        start, end = _extent(descriptor, at, size) if sparse else (at, size)
        while start < end:
            count = os.preadv(descriptor, [buffer[: end - start]], start)
            if not count:
                return  # it became shorter meanwhile
            yield start, buffer[:count]
            start += count
        at = end


def _extent(descriptor: int, at: int, size: int) -> tuple[int, int]:
    """Where the next data begins and ends (lseek(2), SEEK_DATA); at the file's end when there is none."""
    try:
        start = os.lseek(descriptor, at, os.SEEK_DATA)
        return start, min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size
