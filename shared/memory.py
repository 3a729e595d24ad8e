"""Memory that a process has used and does not need any more goes back to the system when there is nothing to do.

Python's and the C library's allocators keep what a burst of work took, and much code of interpreter and libraries
runs only while a process starts: some 4 MB, which it need not keep mapped.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

QUIET = 30.0
"""Seconds without work after which a process tidies up."""
MOST_GROWTH = 3 << 20
"""Bytes by which a process may have grown after that."""

M_ARENA_MAX = -8
MADV_DONTNEED = 4

_libc = ctypes.CDLL(None)


def use_one_arena() -> None:
    """From now on all threads take their memory from one heap: each one's own keeps what the thread once needed."""
    _libc.mallopt(M_ARENA_MAX, 1)


def release() -> None:
    """Collects garbage and gives free memory and the pages of code back; takes milliseconds."""
    gc.collect()
    _libc.malloc_trim(ctypes.c_size_t(0))
    release_code()


def release_code() -> None:
    """Unmaps the pages of code that were used so far; what is used again comes back from the page cache by itself."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, mode, _, _, _, *path = line.split(maxsplit=5)
        if mode == "r-xp" and path and path[0].startswith("/"):  # never written to, so nothing can be lost
            start, end = (int(address, 16) for address in addresses.split("-"))
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


def grown() -> int:
    """Bytes that this process shares with no other."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_Dirty:\s+(\d+) kB$", text, re.MULTILINE)) << 10


class Rest:
    """Calls `release` each time there was work and then none for `quiet` seconds. For the thread of the event loop.

    A forked process copies the pages that it writes to, and no allocator gives back a page that still holds a little:
    what has grown by more than `MOST_GROWTH` since `begin` is `outgrown`, and only a new process is small again. With
    `any_size` it is called each time, also when there was no work since `begin`.
    """

    def __init__(
        self, outgrown: Callable[[], object] = lambda: None, quiet: float | None = None, any_size: bool = False
    ) -> None:
        self._outgrown, self._quiet, self._any_size = outgrown, QUIET if quiet is None else quiet, any_size
        self._loop = asyncio.get_running_loop()
        self._first = 0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The process is ready: from here on it grows."""
        release()
        self._first = grown()
        if self._any_size:
            self.worked()

    def worked(self) -> None:
        """There was work just now."""
        self._last = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._quiet, self._look)

    def _look(self) -> None:
        left = self._last + self._quiet - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        self._timer = None
        release()
        if self._first and (self._any_size or grown() > self._first + MOST_GROWTH):
            self._outgrown()
