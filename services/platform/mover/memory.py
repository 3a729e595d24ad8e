"""The memory of other processes, by /proc (proc_pid_mem(5), proc_pid_pagemap(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from .store import PAGE

CHUNK = 256 << 10
WINDOW_PAGES = 1 << 14
_ENTRY = 8
_RUN = re.compile(b"\1+")
_SPECIAL = re.compile(r"\[(vdso|vvar|vvar_vclock|vsyscall)\]")
_ANONYMOUS = bytes((top & 0xC0 != 0) and not top & 0x20 for top in range(256))
"""By the highest byte of a pagemap entry: in memory (bit 63) or swapped (62), and not of a file or shared (61)."""


class Memory:
    """One process. `process` is its pid in its own namespace, by which both sides name it."""

    def __init__(self, pid: int, process: int) -> None:
        """Raises `OSError` when there is none."""
        self.pid, self.process = pid, process
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        self._pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def read(self, address: int, length: int) -> bytes:
        """The bytes there; fewer, or none, where something is not mapped (any more)."""
        try:
            return os.pread(self._memory, length, address)
        except OSError:
            return b""

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[int, bytes]]:
        """Address and bytes, at most `size`, of all private anonymous pages, as they are."""
        try:
            with open(f"/proc/{self.pid}/maps") as file:
                areas = list(private_areas(file))
        except OSError:  # it has just ended
            return
        for start, end in areas:
            for address, length in self._present(start, end):
                yield from self.pieces(address, length, size)

    def pieces(self, address: int, length: int, size: int = CHUNK) -> Iterator[tuple[int, bytes]]:
        """A range in pieces of at most `size` bytes, of whole pages; what cannot be read is left out."""
        for at in range(address, address + length, size):
            data = self.read(at, min(size, address + length - at))
            if whole := len(data) // PAGE * PAGE:
                yield at, data[:whole]

    def all(self, address: int, length: int) -> Iterator[tuple[int, bytes]]:
        """A range in pieces. `ValueError`: not all of it can be read."""
        end = address
        for at, data in self.pieces(address, length):
            yield at, data
            end = at + len(data)
        if end < address + length:
            raise ValueError(f"no page at {end:#x} of process {self.process}")

    def _present(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        for at in range(start, end, WINDOW_PAGES * PAGE):
            pages = min(WINDOW_PAGES, (end - at) // PAGE)
            try:
                entries = os.pread(self._pagemap, pages * _ENTRY, at // PAGE * _ENTRY)
            except OSError:
                return
            for run in _RUN.finditer(entries[_ENTRY - 1 :: _ENTRY].translate(_ANONYMOUS)):
                yield at + run.start() * PAGE, (run.end() - run.start()) * PAGE

    def close(self) -> None:
        os.close(self._memory)
        os.close(self._pagemap)


def private_areas(lines: Iterator[str]) -> Iterator[tuple[int, int]]:
    """Begin and end of private anonymous mappings (proc_pid_maps(5))."""
    for line in lines:
        places, permissions, _, _, inode, *name = line.split()
        if permissions[3] == "p" and inode == "0" and not (name and _SPECIAL.fullmatch(name[0])):
            start, end = (int(place, 16) for place in places.split("-"))
            yield start, end
