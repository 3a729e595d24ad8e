"""Leases: content that must not be collected although no image needs it (yet, or any more)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from shared import clock
from shared.digest import digest_of, hex_of
from shared.shielded import in_thread

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
        self._put({name: Kept(blobs=tuple(blobs), chains=tuple(chains), until=_after(seconds))})

    async def keep_each(self, blobs: Mapping[str, str], seconds: float) -> None:
        """As `keep`, one blob under each name. They are held at once; who waits knows that the files are there."""
        kept = {name: Kept(blobs=(blob,), until=_after(seconds)) for name, blob in blobs.items()}
        self._kept |= kept
        await in_thread(self._write, kept)

    def _put(self, kept: Mapping[str, Kept]) -> None:
        self._kept |= kept
        self._write(kept)

    def _write(self, kept: Mapping[str, Kept]) -> None:
        with suppress(OSError):  # a full disk: they hold as long as this process does
            for name, each in kept.items():
                self._files.put(name, each)

    def add(self, key: str, image_id: str) -> None:
        """Holds an image, with all that it stands on, under a key of somebody else's."""
        name = _of_images(key)
        images = self._kept[name].images if name in self._kept else ()
        if image_id in images and self.left(name) > LASTING_SECONDS / 2:
            return
        self._put({name: Kept(images=tuple(dict.fromkeys((*images, image_id))), until=_after(LASTING_SECONDS))})

    def images(self) -> frozenset[str]:
        """Ids of the images that are held."""
        now = clock.now_ns()
        return frozenset(image for kept in self._kept.values() if kept.until > now for image in kept.images)

    def end_key(self, key: str) -> None:
        """Holds nothing under this key any more."""
        self.drop(_of_images(key))

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


def _after(seconds: float) -> int:
    return clock.now_ns() + int(seconds * _SECOND)


def _of_images(key: str) -> str:
    """A name for a file, whatever the key."""
    return f"key-{hex_of(digest_of(key.encode()))}"
