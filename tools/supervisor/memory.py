"""Keeps the engine's processes small.

After a fork a page stays shared until somebody writes to it. Each new object that lands in a hole between the
parent's objects costs a copy of the whole page, in every process: some 0.6 MB in each. With the holes filled, new
objects go to new pages, close together. The holes of the C library's heap, where what is not Python has its small
things, cost another 0.25 MB. See also `shared.memory`.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

POOL_MASK = (1 << 14) - 1
POOL_HEADER = 48
"""CPython's small objects lie in pools of 16 KiB of one size class each (Objects/obmalloc.c)."""
CLASSES = range(16, 513, 16)
MOST = 1 << 16
"""Fillers of one size at most: a bound for allocators that work in another way."""

LARGE = 120_000
"""Bytes that fit no hole, but for which the C library makes no mapping (from 128 KiB on)."""
HEAP_SIZES = (*(1 << power for power in range(16, 9, -1)), *range(1008, 8, -16))
MOST_FILLED = 2 << 20

_kept: list[object] = []


def freeze() -> None:
    """Makes what there is ready to be shared with forked processes; they enable their garbage collector themselves.

    A collection would write to every object's header and so copy every page. The cache of attributes holds names: each
    one that makes room for another would be written to.
    """
    gc.collect()
    gc.disable()
    fill_holes()
    fill_heap()
    sys._clear_type_cache()
    gc.freeze()


def fill_holes() -> int:
    """Fills the holes for good; returns how many fillers that took."""
    return sum(_fill_class(size) for size in CLASSES)


def fill_heap() -> int:
    """Fills the holes of the C library's heap for good; returns how many bytes that took."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    end, filled = libc.malloc(LARGE) or 0, 0
    for size in HEAP_SIZES:
        while filled < MOST_FILLED:
            found = libc.malloc(size) or 0
            if not 0 < found < end:  # behind all that there was: no hole of this size is left
                libc.free(found)
                break
            filled += size
    libc.free(end)
    return filled


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
