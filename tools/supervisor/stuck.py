"""Brokers that met a full disk.

nats-server (2.15.1) takes no write any more for a stream whose file it could not write, until it is started again; in a
cluster of hubs it leaves its streams' groups. Its log says so, for which room is kept: nobody has to ask.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from . import watch

SAYS = b"no space left on device"
ROOM = 64 << 10
"""Bytes of the disk that a log has beyond its end."""
_KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE (fallocate(2))."""
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
_MOST = 1 << 20
"""Bytes that are read of a log at a time: more than one may have."""


class Logs:
    """The logs of brokers, by name. `descriptor` is readable when one of them has grown."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._seen: dict[str, int] = {}
        self._inodes: dict[str, int] = {}
        self.descriptor = watch.watcher()

    def follow(self, name: str) -> None:
        """From its end on: what an earlier process said is over."""
        self._inodes.pop(name, None)
        self._seen[name] = self._size(name)
        self._watch(name)

    def look(self) -> list[str]:
        """Whose log says since the last look that a write has failed."""
        os.read(self.descriptor, 1 << 16)
        return [name for name in self._seen if self._says(name)]

    def _says(self, name: str) -> bool:
        self._watch(name)  # it may be another file by now
        begin = self._seen[name] if self._seen[name] <= self._size(name) else 0
        try:
            with open(self._paths[name], "rb") as log:
                log.seek(begin)
                text = log.read(_MOST)
        except OSError:
            return False
        self._seen[name] = begin + len(text)
        return SAYS in text

    def _size(self, name: str) -> int:
        try:
            return self._paths[name].stat().st_size
        except OSError:
            return 0

    def _watch(self, name: str) -> None:
        with contextlib.suppress(OSError), open(self._paths[name], "ab") as log:
            inode = os.fstat(log.fileno()).st_ino
            if inode != self._inodes.get(name):
                # no room, or a file system that keeps none: no worse
                _libc.fallocate(log.fileno(), _KEEP_SIZE, log.tell(), ROOM)
                watch.add(self.descriptor, self._paths[name], watch.IN_MODIFY | watch.IN_MOVE_SELF)
                self._inodes[name] = inode
