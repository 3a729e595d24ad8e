"""The memory of other processes, by /proc (proc_pid_mem(5), proc_pid_pagemap(5)), and what of it was written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from .ranges import Range
from .store import PAGE
from .written import Untracked, Written

CHUNK = 256 << 10
WINDOW_PAGES = 1 << 14
ATTEMPTS = 3
"""Mappings may change while they are looked at."""
LOOSE = 1 << 20
"""A mapping up to this size (bytes) that cannot be followed counts as written each time, such as one that the C library
draws random numbers with (MAP_DROPPABLE).
"""
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
        self._written: Written | None = None

    def is_followed(self) -> bool:
        """Whether the kernel tells what is written. It is given up where that would not be all."""
        if self._written is not None and self._written_by_devices():
            self._unfollow()
        return self._written is not None

    def _written_by_devices(self) -> bool:
        """Whether it reads files past the page cache (O_DIRECT, open(2)): what a device writes into its memory later
        than it was asked for is written past the protection, too.
        """
        folder = f"/proc/{self.pid}/fdinfo"
        try:
            return any(_direct(f"{folder}/{number}") for number in os.listdir(folder))
        except OSError:
            return False

    @property
    def gone(self) -> bool:
        """Whether it has ended, or runs another program now, whose memory this is not."""
        return not os.pread(self._pagemap, _ENTRY, 0)

    def follow(self, userfaultfd: int) -> None:
        """Has the kernel follow what is written, if it can. The descriptor is ours from now on."""
        with suppress(Untracked):
            self._written = Written(userfaultfd, self._pagemap)

    def written(self) -> list[Range] | None:
        """What was written since the last call, of a process that runs, and maybe more; at first all that is there.
        None: it is not followed (any more).
        """
        for attempt in range(ATTEMPTS):
            if not self.is_followed() or self._written is None:
                break
            try:
                found: list[Range] = []
                for area in self.areas():
                    found += self._taken(self._written, *area, anew=attempt > 0)
                return found
            except Untracked:  # its mappings are changing; what was taken by then will not be told again
                continue
            except OSError:
                return []
        self._unfollow()
        return None

    def _taken(self, written: Written, start: int, end: int, anew: bool) -> list[Range]:
        """`anew`: all that is there."""
        try:
            known = written.follow(start, end) and not anew
            taken = written.take(start, end)
        except Untracked:
            if end - start > LOOSE:
                raise
            known = False
        return taken if known else list(self._there(start, end))

    def _there(self, start: int, end: int) -> Iterator[Range]:
        for address, length in self._present(start, end):
            yield address, address + length

    def size(self) -> int:
        """Bytes of its private pages."""
        return sum(length for area in self.areas() for _, length in self._present(*area))

    def still(self) -> tuple[list[Range], list[Range]]:
        """Of a process that stands still and is followed: what was not written since `written`, and what was, or was
        not there then.
        """
        assert self._written is not None
        same: list[Range] = []
        changed: list[Range] = []
        for area in self.areas():
            with suppress(Untracked):
                if self._written.follow(*area):
                    for found, more in zip((same, changed), self._written.look(*area), strict=True):
                        found += more
                    continue
            changed += self._there(*area)
        return same, changed

    def _unfollow(self) -> None:
        if self._written is not None:
            self._written.close()
            self._written = None

    def read(self, address: int, length: int) -> bytes:
        """The bytes there; fewer, or none, where something is not mapped (any more)."""
        try:
            return os.pread(self._memory, length, address)
        except OSError:
            return b""

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[int, bytes]]:
        """Address and bytes, at most `size`, of all private anonymous pages, as they are."""
        for start, end in self.areas():
            for address, length in self._present(start, end):
                yield from self.pieces(address, length, size)

    def areas(self) -> list[Range]:
        """Its private anonymous mappings; none when it has just ended."""
        try:
            with open(f"/proc/{self.pid}/maps") as file:
                return list(private_areas(file))
        except OSError:
            return []

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
        self._unfollow()
        os.close(self._memory)
        os.close(self._pagemap)


def _direct(about: str) -> bool:
    """By its file in fdinfo (proc_pid_fdinfo(5))."""
    try:
        with open(about) as file:
            return any(line.startswith("flags:") and int(line[6:], 8) & os.O_DIRECT for line in file)
    except OSError:  # it has just been closed
        return False


def private_areas(lines: Iterator[str]) -> Iterator[Range]:
    """Begin and end of private anonymous mappings (proc_pid_maps(5))."""
    for line in lines:
        places, permissions, _, _, inode, *name = line.split()
        if permissions[3] == "p" and inode == "0" and not (name and _SPECIAL.fullmatch(name[0])):
            start, end = (int(place, 16) for place in places.split("-"))
            yield start, end
