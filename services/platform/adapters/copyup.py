"""Filling an empty volume with what the image has at its mount point (Docker's copy-up)."""

from __future__ import annotations

import os
import shutil
import stat

from . import syscalls


def fill(root: int, destination: str, volume: str) -> None:
    """Copies the folder `destination` of the root into the empty folder `volume`: owners, modes, times, extended
    attributes, hard links. A volume that is not empty, or a destination that is no folder, is left alone.

    `root` is resolved by openat2(2), so that no link of the image leads out of it; what is below is copied by
    descriptors without following links.
    """
    if not os.path.isdir(volume) or os.listdir(volume):
        return
    try:
        source = syscalls.open_in_root(root, destination, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _Copy().folder(source, target)
    finally:
        os.close(source)
        os.close(target)


class _Copy:
    """One copy; remembers inodes with several names to link them again."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[int, str]] = {}
        self._folders: dict[int, int] = {}

    def folder(self, source: int, target: int) -> None:
        self._tree(source, target)
        for descriptor in self._folders.values():
            os.close(descriptor)

    def _tree(self, source: int, target: int) -> None:
        for name in os.listdir(source):
            self._entry(source, target, name, os.stat(name, dir_fd=source, follow_symlinks=False))
        status = os.fstat(source)
        os.fchown(target, status.st_uid, status.st_gid)
        os.fchmod(target, stat.S_IMODE(status.st_mode))
        _attributes(source, target)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _entry(self, source: int, target: int, name: str, status: os.stat_result) -> None:
        if stat.S_ISDIR(status.st_mode):
            return self._folder(source, target, name)
        if status.st_nlink > 1 and (first := self._seen.get((status.st_dev, status.st_ino))):
            return os.link(first[1], name, src_dir_fd=first[0], dst_dir_fd=target, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            self._file(source, target, name, status)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        if not stat.S_ISREG(status.st_mode):
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
        if status.st_nlink > 1:
            self._seen[(status.st_dev, status.st_ino)] = (self._kept(target), name)
        return None

    def _kept(self, folder: int) -> int:
        """A descriptor of the folder that stays open to the end, for links to come."""
        inode = os.fstat(folder).st_ino
        if inode not in self._folders:
            self._folders[inode] = os.dup(folder)
        return self._folders[inode]

    def _folder(self, source: int, target: int, name: str) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.mkdir(name, 0o700, dir_fd=target)
        inner = os.open(name, flags, dir_fd=source)
        try:
            copy = os.open(name, flags, dir_fd=target)
            try:
                self._tree(inner, copy)
            finally:
                os.close(copy)
        finally:
            os.close(inner)

    def _file(self, source: int, target: int, name: str, status: os.stat_result) -> None:
        reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        with open(reader, "rb") as incoming:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(name, flags, 0o600, dir_fd=target), "wb") as outgoing:
                shutil.copyfileobj(incoming, outgoing, 1 << 20)
                outgoing.flush()
                os.fchown(outgoing.fileno(), status.st_uid, status.st_gid)  # first: it drops file capabilities
                _attributes(incoming.fileno(), outgoing.fileno())


def _attributes(source: int, target: int) -> None:
    """Extended attributes but the overlay's own."""
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            os.setxattr(target, name, os.getxattr(source, name))
