"""Leases: content that must not be collected although no image needs it (yet, or any more)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from shared import clock

from ..ports import Kept, LeaseFiles

LASTING_SECONDS = 24 * 3600
"""For so long what a pull has taken in waits for the next one to go on with it."""
_SECOND = 1_000_000_000


@dataclass
class Lease:
    """What a running operation has taken in and not yet tied to an image."""

    blobs: set[str] = field(default_factory=set)
    chains: set[str] = field(default_factory=set)


class Leases:
    """Those of running work, in memory; those that outlive it, in memory and as files."""

    def __init__(self, files: LeaseFiles) -> None:
        self._files = files
        self._running: list[Lease] = []
        self._kept: dict[str, Kept] = {}

    def open(self) -> None:
        """Goes on with what a predecessor kept, as far as its time has not run out."""
        self._kept = self._files.read()
        self.sweep()

    def needed(self) -> Lease:
        """All that is leased now."""
        needed = Lease()
        for lease in self._running:
            needed.blobs |= lease.blobs
            needed.chains |= lease.chains
        for kept in self._kept.values():
            needed.blobs.update(kept.blobs)
            needed.chains.update(kept.chains)
        return needed

    def begin(self) -> Lease:
        """A lease until `end`."""
        lease = Lease()
        self._running.append(lease)
        return lease

    def end(self, lease: Lease) -> None:
        self._running = [each for each in self._running if each is not lease]

    def keep(
        self, name: str, blobs: Iterable[str], chains: Iterable[str] = (), seconds: float = LASTING_SECONDS
    ) -> None:
        """Holds content past the end of this process, until `drop` or until its time has run out."""
        until = clock.now_ns() + int(seconds * _SECOND)
        kept = self._kept[name] = Kept(blobs=tuple(blobs), chains=tuple(chains), until=until)
        with suppress(OSError):  # a full disk: it holds as long as this process does
            self._files.put(name, kept)

    def drop(self, name: str) -> Kept | None:
        """Ends a kept one; what it held."""
        self._files.drop(name)
        return self._kept.pop(name, None)

    def left(self, name: str) -> float:
        """Seconds for which a kept one still holds; 0 for none."""
        kept = self._kept.get(name)
        return max(0.0, (kept.until - clock.now_ns()) / _SECOND) if kept else 0.0

    def names(self) -> tuple[str, ...]:
        """Of those that are kept."""
        return tuple(self._kept)

    def sweep(self, ended: Iterable[str] = ()) -> Lease:
        """Drops those whose time has run out, and the ones named; what they held may be collected."""
        now, given_up, named = clock.now_ns(), Lease(), set(ended)
        for name, kept in tuple(self._kept.items()):
            if kept.until <= now or name in named:
                self.drop(name)
                given_up.blobs.update(kept.blobs)
                given_up.chains.update(kept.chains)
        return given_up
