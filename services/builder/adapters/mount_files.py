"""What `RUN --mount` binds into containers: cache folders that stay, and files that last as long as their step."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from shared.ids import new_token
from shared.service import Kernel

from ..domain.tree import CHARACTER, DIRECTORY, FILE, SYMLINK, Node
from .spool import CHUNK, Spools

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class MountFiles:
    """`<state_dir>/builder/{cache,mounts}` on disk, `<run_dir>/builder/secrets` in memory."""

    def __init__(self, state: Path, run: Path) -> None:
        self._cache, self._mounts, self._secrets = state / "cache", state / "mounts", run / "secrets"

    def sweep(self) -> None:
        """Removes what steps of a crashed builder left."""
        for path in (self._mounts, self._secrets):
            shutil.rmtree(path, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        return self._cache / hashlib.sha256(name.encode()).hexdigest()[:32]

    def has_cache(self, name: str) -> bool:
        """Whether it was made before."""
        return self._folder(name).exists()

    def cache(self, name: str, begin: Node, spools: Spools) -> Path:
        """The folder of a cache; when it is not there it is made as `begin` is. Blocks."""
        path = self._folder(name)
        if not path.exists():
            place = self.place()
            try:
                self.write(place, begin, spools)
                self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
                place.rename(path)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # somebody else made it meanwhile
                    raise
            finally:
                self.remove(place)
        os.utime(path)
        return path

    def caches(self) -> list[Path]:
        return sorted(self._cache.iterdir()) if self._cache.exists() else []

    def give_up(self, name: str) -> Path:
        """Takes one of the `caches` away at once, whoever asks for it from now on gets a new one; a `place` has it."""
        place = self.place()
        with suppress(FileNotFoundError):  # somebody else has
            (self._cache / name).rename(place)
        return place

    def secret(self, data: bytes, mode: int, uid: int, gid: int) -> Path:
        """A file that only the container sees."""
        self._secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._secrets / new_token()
        descriptor = os.open(path, _CREATE, 0o600)
        try:
            _write(descriptor, data)
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        return path

    def place(self) -> Path:
        """Where a file or directory may be written out; from now on it is to be removed."""
        self._mounts.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self._mounts / new_token()
        folder.mkdir(mode=0o700)
        return folder / "root"

    @staticmethod
    def write(path: Path, node: Node, spools: Spools) -> None:
        """A file or directory, written out at a `place`. Blocks."""
        at = os.open(path.parent, _FOLDER)
        try:
            _put(at, path.name, node, spools)
        finally:
            os.close(at)

    def remove(self, path: Path) -> None:
        """A secret, or a `place` with all that was written there."""
        if path.name == "root" and path.parent.parent == self._mounts:
            shutil.rmtree(path.parent, ignore_errors=True)
        elif path.parent == self._secrets:
            path.unlink(missing_ok=True)


def mount_files(kernel: Kernel) -> MountFiles:
    """Those of this engine."""
    return MountFiles(kernel.settings.state_path / "builder", kernel.settings.run_path / "builder")


def size_of(folder: Path) -> int:
    """Bytes of the files below."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a step may be at work in it
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _put(at: int, name: str, node: Node, spools: Spools) -> None:
    """Every step is one name in a directory that was made here: no link of the tree is followed."""
    if node.kind == DIRECTORY:
        os.mkdir(name, 0o700, dir_fd=at)
        inside = os.open(name, _FOLDER, dir_fd=at)
        try:
            for child, below in (node.children or {}).items():
                _put(inside, child, below, spools)
            _describe(inside, node)
        finally:
            os.close(inside)
    elif node.kind == FILE:
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=at)
        try:
            _copy(descriptor, node, spools)
            _describe(descriptor, node)
        finally:
            os.close(descriptor)
    elif node.kind == SYMLINK:
        os.symlink(node.link, name, dir_fd=at)
    elif node.kind != CHARACTER:
        return  # devices and pipes are nothing to bind


def _describe(descriptor: int, node: Node) -> None:
    os.fchown(descriptor, node.uid, node.gid)
    os.fchmod(descriptor, node.mode)
    os.utime(descriptor, ns=(node.mtime, node.mtime))


def _copy(descriptor: int, node: Node, spools: Spools) -> None:
    if node.source is None:
        return
    offset, left = node.source.offset, node.source.size
    while left and (data := spools.read(node.source.spool, offset, min(left, CHUNK))):
        _write(descriptor, data)
        offset, left = offset + len(data), left - len(data)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
