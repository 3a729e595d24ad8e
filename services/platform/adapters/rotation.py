"""The older part of bounded logs.

When a log has grown to its bound the monitor begins a new file under the same name; the old one would be gone, were it
not held by a second name (a hard link). One watch of the folder tells of it: then the held file becomes the older part,
in place of the one before, and the new file is held. So the bytes of one bound at least are there at any time.

    X.log           written by the monitor
    X.log.held      the same file (`.zheld`: the older part is to be compressed)
    X.log.old       the older part; X.log.old.gz: compressed
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from shared.shielded import in_thread
from shared.tasks import TaskGroup

from . import syscalls

IN_MOVED_TO = 0x80
_EVENT = struct.Struct("=iIII")
_HELD, _OLD = {False: ".held", True: ".zheld"}, {False: ".old", True: ".old.gz"}


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to a log."""
    return path.with_name(path.name + suffix)


def hold(path: Path, compress: bool) -> None:
    """From now on the log's older part is kept. Idempotent; the log must be there."""
    with contextlib.suppress(FileExistsError):
        os.link(path, beside(path, _HELD[compress]))


def turn(path: Path) -> bool | None:
    """Makes the held file the older part where the log was begun anew: whether to compress it; None: nothing to do."""
    for compress in (False, True):
        held = beside(path, _HELD[compress])
        try:
            if os.path.samestat(held.stat(), path.stat()):
                return None
        except FileNotFoundError:
            continue
        held.rename(beside(path, _OLD[False]))
        hold(path, compress)
        return compress
    return None


def parts(path: Path) -> list[Path]:
    """What there is of a log, the oldest first. Its last element is the log itself, which may not be there."""
    names = [
        beside(path, _OLD[True]),
        beside(path, _OLD[False]),
        *(beside(path, name) for name in _HELD.values()),
        path,
    ]
    return [name for name in names if name == path or name.exists()]


def remove(path: Path) -> None:
    """The log with all that belongs to it; idempotent."""
    for name in (*_HELD.values(), *_OLD.values(), ".tmp"):
        beside(path, name).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def pack(plain: BinaryIO, partial: Path) -> None:
    """Packs an older part into a file of its own, synced. Blocking."""
    with open(partial, "wb") as target:
        with gzip.open(target, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def replace(path: Path, plain: BinaryIO, partial: Path) -> None:
    """The packed file takes the place of the older part, unless that is another by now."""
    old = beside(path, _OLD[False])
    if os.path.samestat(os.fstat(plain.fileno()), old.stat()):
        partial.rename(beside(path, _OLD[True]))
        old.unlink()


class Rotation:
    """Watches the folder of all logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tasks = TaskGroup("rotation")
        self._watch = -1
        self._numbers = itertools.count()

    def open(self) -> None:
        """Begins to watch, and does what was missed."""
        self._watch = syscalls.inotify(str(self._folder), IN_MOVED_TO)
        asyncio.get_running_loop().add_reader(self._watch, self._moved)
        for left in self._folder.glob("*.log.old.gz.*"):
            left.unlink(missing_ok=True)
        for held in (held for suffix in _HELD.values() for held in self._folder.glob(f"*.log{suffix}")):
            self._turn(held.with_suffix(""))

    def _moved(self) -> None:
        for name in _names(self._watch):
            if name.endswith(".log"):
                self._turn(self._folder / name)

    def _turn(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            if turn(path):
                beside(path, _OLD[True]).unlink(missing_ok=True)
                self._tasks.start(self._pack(path), "pack")

    async def _pack(self, path: Path) -> None:
        """Each into a file of its own: the log may turn again meanwhile. Only the packing is done beside the loop, so
        that nobody sees, or changes, files that are just being replaced.
        """
        partial = beside(path, f"{_OLD[True]}.{next(self._numbers)}")
        try:
            with open(beside(path, _OLD[False]), "rb") as plain:  # while it is open no other file has its number
                await in_thread(pack, plain, partial)
                replace(path, plain, partial)
        except FileNotFoundError:
            pass  # the log was removed
        finally:
            partial.unlink(missing_ok=True)

    async def close(self) -> None:
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            syscalls.watch_no_more(self._watch)
            self._watch = -1
        await self._tasks.close()


def _names(watch: int) -> Iterator[str]:
    """The names in the events that can be read now (inotify(7))."""
    try:
        data = os.read(watch, 65536)
    except BlockingIOError:
        return
    at = 0
    while at < len(data):
        _, _, _, length = _EVENT.unpack_from(data, at)
        yield os.fsdecode(data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0"))
        at += _EVENT.size + length
