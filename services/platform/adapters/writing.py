"""How fast processes write their memory: some pages, chosen at random, are looked at twice. Blocking.

Nothing is changed for it, no process is stopped. Kernels' own tracking (soft-dirty) is not there everywhere.
"""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterable, Mapping

PAGES, TRIES = 512, 4096
"""Pages that are looked at, at most; places that are tried for them."""
SECONDS = 0.25
"""Between the two looks."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PRESENT = 1 << 63

Place = tuple[int, int]
"""Process and address of a page."""


def places(pids: Iterable[int]) -> list[Place]:
    """Pages in memory of private writable mappings, chosen at random."""
    spans = [(pid, start, end) for pid in pids for start, end in _mappings(pid)]
    if not spans:
        return []
    weights = [end - start for _, start, end in spans]
    tried = {
        (pid, start + random.randrange((end - start) // _PAGE) * _PAGE)
        for pid, start, end in random.choices(spans, weights, k=TRIES)
    }
    return [place for place in tried if _present(*place)][:PAGES]


def look(chosen: Iterable[Place]) -> dict[Place, int]:
    """A checksum of each; pages of what has ended are left out."""
    found = {}
    for pid, address in chosen:
        try:
            found[pid, address] = zlib.crc32(_read(f"/proc/{pid}/mem", _PAGE, address))
        except OSError:
            continue
    return found


def rate(first: Mapping[Place, int], second: Mapping[Place, int], memory: int, seconds: float) -> int:
    """Bytes a second of `memory`, at least: a page that was written more than once counts once."""
    both = first.keys() & second.keys()
    changed = sum(first[place] != second[place] for place in both)
    return int(memory * changed / len(both) / seconds) if both else 0


def _mappings(pid: int) -> list[tuple[int, int]]:
    try:
        with open(f"/proc/{pid}/maps") as file:
            fields = [line.split(maxsplit=2) for line in file]
    except OSError:
        return []
    places = [place.split("-") for place, rights, *_ in fields if rights == "rw-p"]
    return [(int(start, 16), int(end, 16)) for start, end in places]


def _present(pid: int, address: int) -> bool:
    try:
        return bool(int.from_bytes(_read(f"/proc/{pid}/pagemap", 8, address // _PAGE * 8), "little") & _PRESENT)
    except OSError:
        return False


def _read(path: str, count: int, offset: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, count, offset)
    finally:
        os.close(descriptor)
