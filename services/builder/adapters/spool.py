"""Files without a name: what a build reads lies there, and is gone with it, whatever kills it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.errors import ResourceExhausted

CHUNK = 1 << 20
FOLDERS = "folders"


def sweep(folder: Path) -> None:
    """Removes what builds of a crashed builder left below `folder`."""
    shutil.rmtree(folder / FOLDERS, ignore_errors=True)


class Spools:
    """The numbered files of one build, on the disk of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[int] = []
        self._sizes: list[int] = []

    def new(self) -> int:
        """Begins a file; its number."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files.append(os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._sizes.append(0)
        return len(self._files) - 1

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
        try:
            while rest:
                written = os.pwrite(self._files[number], rest, self._sizes[number])
                self._sizes[number] += written
                rest = rest[written:]
        except OSError as error:
            raise ResourceExhausted(f"cannot write: {error.strerror}") from None

    def size(self, number: int) -> int:
        return self._sizes[number]

    def read(self, number: int, offset: int, size: int) -> bytes:
        """At most `size` bytes."""
        return os.pread(self._files[number], size, offset)

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())
