"""Files without a name: what a build reads lies there, and is gone with it, whatever kills it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from shared.errors import ResourceExhausted

CHUNK = 1 << 20
FOLDERS = "folders"


def sweep(folder: Path) -> None:
    """Removes what builds of a crashed builder left below `folder`."""
    shutil.rmtree(folder / FOLDERS, ignore_errors=True)


@dataclass
class _Spool:
    """`begins`: how far into it each of its pieces begins; `places`: where that lies in the file."""

    size: int = 0
    begins: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, place: int, size: int) -> None:
        if not self.places or self.places[-1] + self.size - self.begins[-1] != place:
            self.begins.append(self.size)
            self.places.append(place)
        self.size += size

    def find(self, offset: int) -> tuple[int, int]:
        """Where the byte lies, and how many follow it there."""
        piece = bisect_right(self.begins, offset) - 1
        end = self.begins[piece + 1] if piece + 1 < len(self.begins) else self.size
        return self.places[piece] + offset - self.begins[piece], end - offset


class Spools:
    """The numbered files of one build, in one file on the disk of `folder`: one descriptor does for all.

    Several threads may write and read, each file one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._end, self._ends = 0, threading.Lock()
        self._spools: list[_Spool] = []

    def new(self) -> int:
        """Begins a file; its number."""
        with self._ends:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file = FileIO(os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600), "r+")
            self._spools.append(_Spool())
            return len(self._spools) - 1

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """An empty folder beside the files, gone afterwards; `sweep` removes what a crash leaves of it."""
        parent = self._folder / FOLDERS
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = tempfile.mkdtemp(dir=parent)
        try:
            yield Path(made)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, made, True))

    def append(self, number: int, data: bytes | memoryview) -> None:
        """Writes at the end; raises `ResourceExhausted` on a full disk."""
        rest = memoryview(data)
        with self._ends:
            place, self._end = self._end, self._end + len(rest)
        try:
            while rest:
                written = os.pwrite(self._descriptor(), rest, place)
                self._spools[number].add(place, written)
                place, rest = place + written, rest[written:]
        except OSError as error:
            raise ResourceExhausted(f"cannot write: {error.strerror}") from None

    def size(self, number: int) -> int:
        return self._spools[number].size

    def read(self, number: int, offset: int, size: int) -> bytes:
        """So many bytes, fewer at its end."""
        spool, pieces = self._spools[number], []
        end = min(offset + size, spool.size)
        while offset < end:
            place, follow = spool.find(offset)
            pieces.append(os.pread(self._descriptor(), min(follow, end - offset), place))
            offset += len(pieces[-1])
        return b"".join(pieces)

    def _descriptor(self) -> int:
        """Raises `ValueError` in a thread that works on although all was closed."""
        assert self._file is not None
        return self._file.fileno()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
