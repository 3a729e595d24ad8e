"""Ranges of addresses: (begin, end), the end not in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Range = tuple[int, int]


def without(wanted: Range, taken: Iterable[Range]) -> Iterator[Range]:
    """The parts of a range that are in none of `taken`, which are in order and do not overlap."""
    at, until = wanted
    for begin, end in taken:
        if end <= at:
            continue
        if begin >= until:
            break
        if begin > at:
            yield at, begin
        at = end
    if at < until:
        yield at, until
