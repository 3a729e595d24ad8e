"""Power cuts: what a disk may hold after one, at every step of a process that writes.

A `Recorder` sits between a process and the calls that change names or make things durable (rename, link, unlink, mkdir,
symlink, creation, fsync, syncfs). At each it notes what the folder looks like, and what of it is certainly
on disk, by the strictest reading of POSIX: a file's bytes after its fsync, a directory's names after the directory's
fsync, everything after syncfs. Of each such moment three disks are made (`Moment.disks`):

- `kept`: the machine went down, and yet everything had been written;
- `torn`: all names are there, of bytes that were not synced the first half;
- `dropped`: only what was certainly on disk; names that were, of files that were not, lead to empty files.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

Disk = Literal["kept", "torn", "dropped"]
DISKS: tuple[Disk, ...] = ("kept", "torn", "dropped")
_ONE, _TWO = ("unlink", "rmdir", "mkdir"), ("rename", "replace", "link", "symlink")


@dataclass(frozen=True)
class Node:
    """A file, link or directory. `inode` names its bytes in the pool; `target` of a link; `synced`: its bytes are."""

    kind: Literal["file", "link", "directory"]
    inode: int = 0
    target: str = ""
    synced: bool = False
    attributes: tuple[tuple[str, bytes], ...] = ()


Tree = dict[str, Node]


@dataclass(frozen=True)
class Moment:
    """One point at which the power may go. `said`: what the test had been told by then, and whatever else it noted."""

    kept: Tree
    dropped: Tree
    said: Any

    def disk(self, kind: Disk) -> Tree:
        return self.dropped if kind == "dropped" else self.kept


@dataclass
class Recorder:
    """Records what happens below `root`; what is below `passing` comes and goes, and is taken for empty."""

    root: Path
    pool: Path
    passing: tuple[str, ...]
    note: Callable[[], Any]
    moments: list[Moment] = field(default_factory=list)
    _synced: set[int] = field(default_factory=set)
    _names: dict[int, dict[str, Node]] = field(default_factory=dict)
    _held: list[int] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.pool.mkdir()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """From now on, until `patch` is undone."""
        for name in (*_ONE, *_TWO):
            patch.setattr(os, name, self._changing(getattr(os, name), 1 if name in _ONE else 2))
        patch.setattr(os, "open", self._opening(os.open))
        patch.setattr(os, "fsync", self._syncing(os.fsync))

    def _changing(self, call: Callable[..., Any], paths: int) -> Callable[..., Any]:
        def recorded(*arguments: Any, **more: Any) -> Any:
            if not any(self._matters(each) for each in arguments[:paths]) or "dir_fd" in more:
                return call(*arguments, **more)
            self.moment()
            try:
                return call(*arguments, **more)
            finally:
                self.moment()

        return recorded

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def recorded(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
            if flags & os.O_CREAT and "dir_fd" not in more and self._matters(path):
                self.moment()
            return call(path, flags, mode, **more)

        return recorded

    def _syncing(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def recorded(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            inside = Path(path).is_relative_to(self.root)
            if inside:
                self.moment()
            call(descriptor)
            if inside:
                self._is_synced(descriptor, path)
                self.moment()

        return recorded

    def _is_synced(self, descriptor: int, path: str) -> None:
        status = os.fstat(descriptor)
        with self._lock:
            if stat.S_ISDIR(status.st_mode):
                self._hold(path)
                self._names[status.st_ino] = dict(self._look(path))
            else:
                self._synced.add(self._keep(path))

    def all_synced(self) -> None:
        """As after syncfs(2)."""
        with self._lock:
            there = dict(self._walk(self.root, ""))
            self._synced |= {node.inode for node in there.values() if node.kind == "file"}
            for path in [self.root, *(self.root / name for name, node in there.items() if node.kind == "directory")]:
                self._hold(str(path))
                self._names[path.stat().st_ino] = dict(self._look(str(path)))
            self.moment()

    def _matters(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        text = os.fspath(path)
        if not isinstance(text, str) or not Path(text).is_relative_to(self.root):
            return False
        return Path(text).relative_to(self.root).parts[:1] not in [(name,) for name in self.passing]

    def moment(self) -> None:
        """The power may go here."""
        with self._lock:  # threads of the store write at the same time
            kept = dict(self._walk(self.root, ""))
            dropped = dict(self._durable(self.root.stat().st_ino, "")) if self.root.exists() else {}
            made = Moment(kept, dropped, self.note())
            if not self.moments or self.moments[-1] != made:
                self.moments.append(made)

    def _walk(self, folder: Path, below: str) -> Iterator[tuple[str, Node]]:
        for name, node in self._look(str(folder)):
            path = f"{below}{name}"
            yield path, node
            if node.kind == "directory" and path not in self.passing:
                yield from self._walk(folder / name, f"{path}/")

    def _look(self, folder: str) -> Iterator[tuple[str, Node]]:
        with suppress(FileNotFoundError, NotADirectoryError):
            for name in sorted(os.listdir(folder)):
                with suppress(FileNotFoundError):
                    yield name, self._node(os.path.join(folder, name))

    def _node(self, path: str) -> Node:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return Node("link", target=os.readlink(path))
        if stat.S_ISDIR(status.st_mode):
            attributes = tuple((name, os.getxattr(path, name)) for name in os.listxattr(path))
            return Node("directory", status.st_ino, attributes=attributes)
        inode = self._keep(path)
        return Node("file", inode, synced=inode in self._synced)

    def _keep(self, path: str) -> int:
        """The file's bytes stay in the pool: none is written to again once it has its name."""
        inode = os.lstat(path).st_ino
        kept = self.pool / str(inode)
        if not kept.exists():
            _link(path, str(kept))
        return inode

    def _hold(self, path: str) -> None:
        """Its inode's number is not given to another directory as long as it is open."""
        self._held.append(_open(path, os.O_PATH | os.O_DIRECTORY))

    def _durable(self, inode: int, below: str) -> Iterator[tuple[str, Node]]:
        for name, node in self._names.get(inode, {}).items():
            is_synced = node.kind == "file" and node.inode in self._synced
            yield f"{below}{name}", Node("file", node.inode, synced=True) if is_synced else node
            if node.kind == "directory":
                yield from self._durable(node.inode, f"{below}{name}/")

    def close(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)


_link, _open = os.link, os.open


def make(tree: Tree, pool: Path, root: Path, kind: Disk) -> None:
    """Puts such a disk there."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path, node in tree.items():
        at = root / path
        if node.kind == "directory":
            at.mkdir()
            for name, value in node.attributes if kind != "dropped" else ():
                os.setxattr(at, name, value)
        elif node.kind == "link":
            at.symlink_to(node.target)
        elif node.synced or kind == "kept":
            shutil.copyfile(pool / str(node.inode), at)
        else:
            data = (pool / str(node.inode)).read_bytes()
            at.write_bytes(data[: len(data) // 2] if kind == "torn" else b"")
