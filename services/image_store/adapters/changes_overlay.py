"""Comparing a writable layer with the layers below it, as overlayfs merges them; nothing is mounted for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shared.contracts.image_store import Change
from shared.paths import open_beneath

from ..domain.differences import ADDED, DELETED, MODIFIED, complete, different

_OPAQUE = "trusted.overlay.opaque"
_CAPABILITY = "security.capability"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_Shared = tuple[str, tuple[int, ...], bool]
"""A directory, the layers below that have it too (top first), and whether it hides theirs."""
_HELD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def changes(upper: Path, below: Iterable[Path]) -> tuple[Change, ...]:
    """What the container changed, in the order of paths; `below` are the layers' trees, top first. Blocks.

    The container may be at work: what vanishes meanwhile is left out. Raises `OSError` for paths that are too long.
    """
    with ExitStack() as stack:

        def opened(path: Path) -> int:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            return descriptor

        comparison = _Comparison(opened(upper), [opened(path) for path in below])
        comparison.run()
        return tuple(complete(comparison.kinds))


@dataclass
class _Comparison:
    """`kinds`: what was found, by path with a slash before it."""

    upper: int
    below: list[int]
    kinds: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        pending: list[_Shared] = [("", tuple(self.below), False)]
        while pending:
            path, lowers, alone = pending.pop()
            try:
                directory = open_beneath(self.upper, path, _DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone meanwhile
            try:
                with _Merged(path, lowers) as old:
                    pending += self._directory(path, directory, old, alone or _is_opaque(directory))
            finally:
                os.close(directory)

    def _directory(self, path: str, directory: int, old: _Merged, alone: bool) -> list[_Shared]:
        """Compares what is in a directory; the directories in it."""
        inner: list[_Shared] = []
        names = set(os.listdir(directory))
        for name in names:
            with _held(directory, name) as new:
                if new is None:
                    continue
                before, lowers = old.find(name)
                try:
                    inside = f"{path}/{name}" if path else name
                    self._entry(f"/{inside}", before, new)
                    if stat.S_ISDIR(os.fstat(new).st_mode):
                        inner.append((inside, lowers, alone))
                finally:
                    if before is not None:
                        os.close(before)
        if alone:
            self.kinds |= {f"/{path}/{name}".replace("//", "/"): DELETED for name in old.names() - names}
        return inner

    def _entry(self, path: str, before: int | None, after: int) -> None:
        new = os.fstat(after)
        if stat.S_ISCHR(new.st_mode) and not new.st_rdev:
            if before is not None:
                self.kinds[path] = DELETED
        elif before is None:
            self.kinds[path] = ADDED
        elif different(os.fstat(before), new) or _capability(before) != _capability(after):
            self.kinds[path] = MODIFIED


class _Merged:
    """One directory as the layers below show it together; `lowers`: roots of the layers that have it, top first."""

    def __init__(self, path: str, lowers: tuple[int, ...]) -> None:
        self._path, self._lowers = path, lowers
        self._opened: list[tuple[int, int]] = []

    def __enter__(self) -> _Merged:
        self._opened = [(root, open_beneath(root, self._path, _DIRECTORY)) for root in self._lowers]
        return self

    def __exit__(self, *_: object) -> None:
        for _root, directory in self._opened:
            os.close(directory)

    def find(self, name: str) -> tuple[int | None, tuple[int, ...]]:
        """What has this name, held, or None; and the layers that make up the directory it is."""
        found, roots = None, []
        for root, directory in self._opened:
            try:
                held = os.open(name, _HELD, dir_fd=directory)
            except FileNotFoundError:
                continue
            status = os.fstat(held)
            is_directory = stat.S_ISDIR(status.st_mode)
            if found is None and not (stat.S_ISCHR(status.st_mode) and not status.st_rdev):
                found = held
            if is_directory:
                roots.append(root)
            hides = not is_directory or _is_opaque(held)
            if held != found:
                os.close(held)
            if hides:
                break
        return found, tuple(roots)

    def names(self) -> set[str]:
        """What is in it."""
        shown: set[str] = set()
        for name in {name for _, directory in self._opened for name in os.listdir(directory)}:
            held, _ = self.find(name)
            if held is not None:
                os.close(held)
                shown.add(name)
        return shown


@contextmanager
def _held(directory: int, name: str) -> Iterator[int | None]:
    try:
        held = os.open(name, _HELD, dir_fd=directory)
    except FileNotFoundError:
        yield None
        return
    try:
        yield held
    finally:
        os.close(held)


def _attribute(held: int, name: str) -> bytes:
    try:
        return os.getxattr(f"/proc/self/fd/{held}", name)
    except OSError:
        return b""


def _is_opaque(held: int) -> bool:
    return _attribute(held, _OPAQUE) == b"y"


def _capability(held: int) -> bytes:
    return _attribute(held, _CAPABILITY)
