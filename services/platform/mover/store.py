"""Pages of processes by their address, as one side has sent, or the other got them.

Those that were got while the processes ran may have changed since: they are doubted until they come again, or are said
to be as they were.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Iterator

PAGE = 4096
REGION = 64 << 20
"""So many bytes of addresses are kept together, in memory that is used as far as pages are put there."""
BLOCK = 64 << 10
_NORESERVE = 0x4000
"""MAP_NORESERVE (mmap(2)), the same on all architectures we know; in Python's mmap from 3.13 on."""
_NONE, _HERE, _DOUBTED = b"\0", b"\1", b"\2"
_THERE = re.compile(b"\1+")
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)


class _Region:
    def __init__(self) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
        self.memory = mmap.mmap(-1, REGION, flags)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.there = bytearray(REGION // PAGE)
        """A byte a page: none, here, doubted."""

    def lacks(self, offset: int, length: int) -> bool:
        """Whether a page is missing there."""
        return self.there.count(_HERE, offset // PAGE, (offset + length) // PAGE) * PAGE != length


class Store:
    """All pages of one workload. Addresses and lengths are whole pages."""

    def __init__(self) -> None:
        self._regions: dict[tuple[int, int], _Region] = {}

    def put(self, process: int, address: int, data: bytes) -> None:
        """Keeps pages; what was there is replaced."""
        for region, offset, start, length in self._parts(process, address, len(data), make=True):
            assert region is not None
            region.memory[offset : offset + length] = data[start : start + length]
            region.there[offset // PAGE : (offset + length) // PAGE] = _HERE * (length // PAGE)

    def here(self, process: int, address: int, length: int) -> tuple[int, int]:
        """Where the pages from `address` on are in this process's memory, and how many bytes of them."""
        index, offset = divmod(address, REGION)
        region = self._regions.get((process, index))
        last = min(offset + length, REGION) // PAGE
        found = region and _THERE.match(region.there, offset // PAGE, last)
        return (region.start + offset, found.end() * PAGE - offset) if region and found else (0, 0)

    def changed(self, process: int, address: int, data: bytes) -> Iterator[tuple[int, int]]:
        """Ranges (offset in `data`, length) of pages that are missing here or differ, each as long as it can be."""
        begin = end = 0
        for offset, length in self._differing(process, address, data, 0, len(data), BLOCK):
            if offset != end:
                if end > begin:
                    yield begin, end - begin
                begin = offset
            end = offset + length
        if end > begin:
            yield begin, end - begin

    def _differing(
        self, process: int, address: int, data: bytes, start: int, end: int, size: int
    ) -> Iterator[tuple[int, int]]:
        """Blocks first, then what is in those that differ: most are alike."""
        for offset in range(start, end, size):
            block = data[offset : min(offset + size, end)]
            if self._same(process, address + offset, block):
                continue
            if size == PAGE:
                yield offset, PAGE
            else:
                yield from self._differing(process, address, data, offset, offset + len(block), size // 4)

    def doubt(self) -> None:
        """All pages may have changed: from now on they are missing, until they are put or confirmed."""
        for region in self._regions.values():
            region.there = region.there.replace(_HERE, _DOUBTED)

    def confirm(self, process: int, address: int, length: int) -> None:
        """Pages have not changed. `ValueError`: they never came."""
        for region, offset, _, size in self._parts(process, address, length):
            pages = slice(offset // PAGE, (offset + size) // PAGE)
            if region is None or _NONE in region.there[pages]:
                raise ValueError(f"pages at {address:#x} of process {process} never came")
            region.there[pages] = region.there[pages].replace(_DOUBTED, _HERE)

    def _same(self, process: int, address: int, data: bytes) -> bool:
        for region, offset, start, size in self._parts(process, address, len(data)):
            if region is None or region.lacks(offset, size):
                return False
            piece = data if size == len(data) else data[start : start + size]
            if _memcmp(region.start + offset, piece, size):
                return False
        return True

    def _parts(
        self, process: int, address: int, length: int, make: bool = False
    ) -> Iterator[tuple[_Region | None, int, int, int]]:
        """Region, offset in it, offset in the range, length, for each region that the range touches."""
        start = 0
        while start < length:
            index, offset = divmod(address + start, REGION)
            region = self._regions.get((process, index))
            if region is None and make:
                region = self._regions[process, index] = _Region()
            size = min(length - start, REGION - offset)
            yield region, offset, start, size
            start += size
