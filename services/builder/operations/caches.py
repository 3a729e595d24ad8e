"""The caches of `RUN --mount=type=cache`: what they take, and their removal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from shared.clock import now_ns
from shared.contracts.builder import CacheEntry, PruneRequest, UsageReply
from shared.contracts.common import PruneReport
from shared.durations import duration
from shared.errors import InvalidArgument
from shared.filters import labels_match
from shared.service import Kernel

from ..adapters.mount_files import MountFiles, mount_files, size_of


def _entries(files: MountFiles) -> list[CacheEntry]:
    """The one that was not used for the longest time first."""
    found = []
    for path in files.caches():
        with suppress(FileNotFoundError):  # just given up
            status = path.stat()
            found.append(
                CacheEntry(
                    id=path.name,
                    name=path.name,
                    size=size_of(path),
                    created=status.st_ctime_ns,
                    used=status.st_mtime_ns,
                )
            )
    return sorted(found, key=lambda entry: entry.used)


async def usage(kernel: Kernel) -> UsageReply:
    """All of them."""
    return UsageReply(entries=tuple(await asyncio.to_thread(_entries, mount_files(kernel))))


async def prune(kernel: Kernel, request: PruneRequest, busy: Callable[[], bool]) -> PruneReport:
    """Removes what the filters choose, the longest unused first, until no more than `keep` bytes are left.

    Nothing while a step is `busy` with one: with which is not worth telling apart. One that begins later gets new ones.
    """
    files, since = mount_files(kernel), _unused_since(request)
    entries = await asyncio.to_thread(_entries, files)
    left = sum(entry.size for entry in entries)
    removed, freed = [], 0
    for entry in entries:
        if busy():
            break
        chosen = (since is None or entry.used < since) and labels_match({}, request.filters)  # they have none
        named = request.filters.get("id")
        if not chosen or (named and entry.id not in named) or (request.keep and left <= request.keep):
            continue
        given_up = files.give_up(entry.id)
        await asyncio.to_thread(files.remove, given_up)
        left -= entry.size
        freed += entry.size
        removed.append(entry.id)
    return PruneReport(removed=tuple(removed), bytes_freed=freed)


def _unused_since(request: PruneRequest) -> int | None:
    for name in ("until", "unused-for"):
        for text in request.filters.get(name, ()):
            length = duration(text)
            if length is None:
                raise InvalidArgument(f"invalid filter '{name}={text[:100]}'")
            return now_ns() - length
    return None
