"""The folders of volumes: `<state_dir>/volumes/<name>/_data`.

A power cut loses no content: a folder is synced before anybody gets it to write to, and before a volume with content is
given up. An empty one is made again from its record, and without a record it is nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..domain.recovery import REMOVING

DATA = "_data"


class Folders:
    """All folders of one engine. Methods wait for the disk: call them in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[str] = set()

    def data(self, name: str) -> Path:
        """Where a volume's content is."""
        return self._root / name / DATA

    def make(self, name: str) -> None:
        """The folder, empty and owned by root; there already is fine."""
        self.data(name).parent.mkdir(mode=0o701, exist_ok=True)
        self.data(name).mkdir(exist_ok=True)
        if is_empty(self.data(name)):  # else its owner may have chosen another mode
            self.data(name).chmod(0o755)

    def make_durable(self, name: str) -> None:
        """What is written to the folder from now on, and synced, is not lost with the folder."""
        if name not in self._durable:
            _sync(self._root / name)
            _sync(self._root)
            self._durable.add(name)

    def set_aside(self, name: str) -> str:
        """Gives the folder a name that says it is being removed; a crash cannot bring the volume back. That name.

        An empty one goes at once ("": nothing is left): with neither content nor record it would not be a volume again.
        """
        folder, aside = self._root / name, f"{REMOVING}{name}"
        self._durable.discard(name)
        if _filled(folder):
            os.rename(folder, self._root / aside)
            _sync(self._root)
        for empty in (folder / DATA, folder):
            with contextlib.suppress(FileNotFoundError):
                empty.rmdir()
        return aside if (self._root / aside).exists() else ""

    def discard(self, folder: str) -> None:
        """Removes a folder with all in it; none there is fine."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)

    def found(self) -> dict[str, bool]:
        """Names of all folders, and whether anything is in them."""
        with os.scandir(self._root) as entries:
            return {entry.name: _filled(Path(entry.path)) for entry in entries if entry.is_dir(follow_symlinks=False)}

    def age(self, name: str) -> int:
        """When the folder was made or renamed last, in nanoseconds."""
        return (self._root / name).stat().st_ctime_ns

    def size(self, name: str) -> int:
        """Bytes in a volume's files, each counted once however many links it has."""
        seen: set[tuple[int, int]] = set()
        total = 0
        for status in _files(self.data(name)):
            inode = (status.st_dev, status.st_ino)
            if status.st_nlink == 1 or inode not in seen:
                seen.add(inode)
                total += status.st_size
        return total


def _filled(folder: Path) -> bool:
    try:
        return os.listdir(folder) not in ([], [DATA]) or not is_empty(folder / DATA)
    except FileNotFoundError:
        return False


def is_empty(folder: Path) -> bool:
    """Whether nothing is in the folder, or it is not there."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Every file below; what goes away meanwhile is left out."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            yield entry.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            continue


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
