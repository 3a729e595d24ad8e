"""Which memory has changed since it was sent: looked for by a process of its own, as soon as the workload stands still.

It is forked ahead, when a pass over the memory is over, with all that was sent then. Who runs again needs the
processors: so for a while it takes what is left of them.
"""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from . import priority
from .memory import Memory
from .store import Store

CHANGED, DONE, END = b"C", b"D", b"E"
"""Pages have changed; a range was looked at, and what was not said to have changed has not; there is no more."""
PIECE = 1 << 20
GENTLE, USUAL = 19, 0
GENTLE_SECONDS = 2.0
_FOUND = struct.Struct("=cIQI")


class Found(NamedTuple):
    """A range of a process's memory (its pid in its own namespace)."""

    kind: bytes
    process: int
    address: int
    length: int


class Scan:
    """One process; it ends with its parent."""

    def __init__(self, store: Store, memories: Iterable[Memory], unused: Iterable[int]) -> None:
        """`unused`: descriptors that the other end must see closed when this process is gone."""
        waits, self._begin = os.pipe()
        self._found, told = os.pipe()
        self._rest = b""
        self._pid = os.fork()
        if not self._pid:
            try:
                for descriptor in (self._begin, self._found, *unused):
                    os.close(descriptor)
                if word := os.read(waits, 1):
                    _look(store, memories, told, word == b"g")
            finally:
                os._exit(0)
        os.close(waits)
        os.close(told)

    def fileno(self) -> int:
        """Can be read when something was found."""
        return self._found

    def begin(self, gently: bool) -> None:
        """The processes stand still from now on."""
        with suppress(BrokenPipeError):
            os.write(self._begin, b"g" if gently else b"b")

    def found(self) -> list[Found]:
        """What was found meanwhile. `ValueError`: it has ended before its end."""
        data = os.read(self._found, 1 << 16)
        if not data:
            raise ValueError("the process that looks for changed memory has ended")
        data = self._rest + data
        whole = len(data) - len(data) % _FOUND.size
        self._rest = data[whole:]
        return [Found(*each) for each in _FOUND.iter_unpack(data[:whole])]

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._begin)
        os.close(self._found)


def _look(store: Store, memories: Iterable[Memory], told: int, gently: bool) -> None:
    until = time.monotonic() + GENTLE_SECONDS
    if gently:
        os.setsid()  # whose share of the processors is its own
        priority.give(GENTLE)
    for memory in memories:
        for address, data in memory.chunks(PIECE):
            changed = store.changed(memory.process, address, data)
            said = [_FOUND.pack(CHANGED, memory.process, address + at, length) for at, length in changed]
            os.write(told, b"".join((*said, _FOUND.pack(DONE, memory.process, address, len(data)))))
            if gently and time.monotonic() > until:
                gently = False
                priority.give(USUAL)
    os.write(told, _FOUND.pack(END, 0, 0, 0))
