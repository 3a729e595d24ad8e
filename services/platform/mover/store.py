"""Pages of processes by their address, as one side has sent, or the other got them."""

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
_MISSING, _THERE = re.compile(b"\0+"), re.compile(b"\1+")
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)


class _Region:
    def __init__(self) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
        self.memory = mmap.mmap(-1, REGION, flags)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.there = bytearray(REGION // PAGE)


class Store:
    """All pages of one workload. Addresses and lengths are whole pages."""

    def __init__(self) -> None:
        self._regions: dict[tuple[int, int], _Region] = {}

    def put(self, process: int, address: int, data: bytes) -> None:
        """Keeps pages; what was there is replaced."""
        for region, offset, start, length in self._parts(process, address, len(data), make=True):
            assert region is not None
            region.memory[offset : offset + length] = data[start : start + length]
            region.there[offset // PAGE : (offset + length) // PAGE] = b"\1" * (length // PAGE)

    def get(self, process: int, address: int, length: int) -> bytes | None:
        """The pages; None when one is missing."""
        parts = []
        for region, offset, _, size in self._parts(process, address, length):
            if region is None or b"\0" in region.there[offset // PAGE : (offset + size) // PAGE]:
                return None
            parts.append(region.memory[offset : offset + size])
        return b"".join(parts)

    def begin(self, process: int, address: int, length: int) -> bytes:
        """As many of the first pages as are here."""
        parts = []
        for region, offset, _, size in self._parts(process, address, length):
            gap = -1 if region is None else region.there.find(0, offset // PAGE, (offset + size) // PAGE) * PAGE
            if region is not None and gap != offset:
                parts.append(region.memory[offset : offset + size if gap < 0 else gap])
            if region is None or gap >= 0:
                break
        return b"".join(parts)

    def missing(self, process: int, address: int, length: int) -> Iterator[tuple[int, int]]:
        """Ranges (address, length) of pages that are not here."""
        for region, offset, start, size in self._parts(process, address, length):
            if region is None:
                yield address + start, size
                continue
            for gap in _MISSING.finditer(region.there[offset // PAGE : (offset + size) // PAGE]):
                yield address + start + gap.start() * PAGE, (gap.end() - gap.start()) * PAGE

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

    def take_missing(self, other: Store) -> None:
        """Takes from another store, which nobody uses any more, the pages that are not here."""
        for (process, index), region in other._regions.items():
            own = self._regions.get((process, index))
            for run in _THERE.finditer(own.there) if own else ():
                assert own is not None
                start, end = run.start() * PAGE, run.end() * PAGE
                region.memory[start:end] = own.memory[start:end]
                region.there[run.start() : run.end()] = bytes(own.there[run.start() : run.end()])
            self._regions[process, index] = region

    def _same(self, process: int, address: int, data: bytes) -> bool:
        for region, offset, start, size in self._parts(process, address, len(data)):
            if region is None or b"\0" in region.there[offset // PAGE : (offset + size) // PAGE]:
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
