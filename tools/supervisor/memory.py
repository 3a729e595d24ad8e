"""Keeps the engine's processes small.

After a fork a page stays shared until somebody writes to it. Each new object that lands in a hole between the
parent's objects costs a copy of the whole page, in every process: some 0.6 MB in each. With the holes filled, new
objects go to new pages, close together.

Much of the code of interpreter and libraries runs only while a process starts: some 4 MB, which it need not keep
mapped.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

POOL_MASK = (1 << 14) - 1
POOL_HEADER = 48
"""CPython's small objects lie in pools of 16 KiB of one size class each (Objects/obmalloc.c)."""
CLASSES = range(16, 513, 16)
MOST = 1 << 16
"""Fillers of one size at most: a bound for allocators that work in another way."""

MADV_DONTNEED = 4

_kept: list[object] = []


def fill_holes() -> int:
    """Fills the holes for good; returns how many fillers that took."""
    return sum(_fill_class(size) for size in CLASSES)


def _fill_class(size: int) -> int:
    """Takes blocks of a size class until one opens a pool of its own."""
    make = _maker(size)
    for number in range(MOST):
        filler = make()
        if id(filler) & POOL_MASK == POOL_HEADER:
            return number
        _kept.append(filler)
    return MOST


def _maker(size: int) -> Callable[[], object]:
    """Makes objects that take a block of this size and that the garbage collector does not see."""
    if size == 16:
        return object
    if size == 32:
        return lambda: float("1.5")
    length = size - bytes.__basicsize__
    return lambda: b"x" * length


def release_code() -> None:
    """Unmaps the pages of code that were used so far; what is used again comes back from the page cache by itself."""
    libc = ctypes.CDLL(None)
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, mode, _, _, _, *path = line.split(maxsplit=5)
        if mode == "r-xp" and path and path[0].startswith("/"):  # never written to, so nothing can be lost
            start, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)
