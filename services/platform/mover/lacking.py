"""Which pages a process has not got yet, and where each was when its memory was captured."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

ADDRESSES = 1 << 64


class Part(NamedTuple):
    """Addresses from `start` to before `end`; `origin` is where the first of them was."""

    start: int
    end: int
    origin: int


class Lacking:
    """In parts that do not overlap, in order."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts = sorted(parts)

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def first(self) -> Part:
        """The lowest. `IndexError`: it lacks nothing."""
        return self._parts[0]

    def copy(self) -> Lacking:
        """As a fork of the process has it."""
        return Lacking(self._parts)

    def origin(self, address: int) -> int | None:
        """Where that byte was; None: it is not lacking."""
        number = bisect_right(self._parts, (address, ADDRESSES, 0)) - 1
        if number < 0 or address >= self._parts[number].end:
            return None
        part = self._parts[number]
        return part.origin + address - part.start

    def drop(self, start: int, end: int) -> list[Part]:
        """Takes out what is lacking there."""
        if start >= end:
            return []
        first = bisect_right(self._parts, (start, ADDRESSES, 0))
        if first and self._parts[first - 1].end > start:
            first -= 1
        last = first
        kept, taken = [], []
        while last < len(self._parts) and self._parts[last].start < end:
            part = self._parts[last]
            begin, until = max(part.start, start), min(part.end, end)
            taken.append(Part(begin, until, part.origin + begin - part.start))
            if part.start < begin:
                kept.append(Part(part.start, begin, part.origin))
            if until < part.end:
                kept.append(Part(until, part.end, part.origin + until - part.start))
            last += 1
        self._parts[first:last] = kept
        return taken

    def move(self, start: int, to: int, length: int) -> None:
        """What was mapped there is mapped elsewhere now (mremap(2))."""
        taken = self.drop(start, start + length)
        self.drop(to, to + length)
        moved = [Part(part.start - start + to, part.end - start + to, part.origin) for part in taken]
        number = bisect_right(self._parts, (to, ADDRESSES, 0))
        self._parts[number:number] = moved
