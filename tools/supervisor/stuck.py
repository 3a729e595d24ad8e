"""Brokers that met a full disk.

nats-server (2.15.1) takes no write any more for a stream whose file it could not write, until it is started again. Its
log says so at each attempt, and when there is space again that line is in it: nobody has to ask.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from . import watch

SAYS = b"no space left on device"
_MOST = 1 << 20
"""Bytes that are read of a log at a time: more than one may have."""


class Logs:
    """The logs of brokers, by name. `descriptor` is readable when one of them has grown."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._seen: dict[str, int] = {}
        self.descriptor = watch.watcher()

    def follow(self, name: str) -> None:
        """From its end on: what an earlier process said is over."""
        with contextlib.suppress(OSError):  # the disk is full: it is followed from its first line on
            self._paths[name].touch()
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
        with contextlib.suppress(OSError):  # it is just being replaced: then there is another line soon
            watch.add(self.descriptor, self._paths[name], watch.IN_MODIFY | watch.IN_MOVE_SELF)
