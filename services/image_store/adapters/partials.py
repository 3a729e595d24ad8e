"""Blobs that have come in part: kept when a transfer breaks off, so that the next goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

from shared import clock
from shared.digest import hex_of

from .layout import StoreLayout

KEPT_SECONDS = 24 * 3600


class LocalPartials:
    """`partial/<hex>`: not verified, not synced; whoever goes on reads what is there once more."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def path(self, digest: str) -> Path:
        return self._layout.partial / hex_of(digest)

    def discard(self, digest: str, empty: bool = False) -> None:
        path = self.path(digest)
        if not empty or (path.exists() and not path.stat().st_size):
            path.unlink(missing_ok=True)

    def sweep(self, in_use: set[str], all_: bool = False) -> int:
        """Removes those nobody goes on with: the old ones, or all. Returns the bytes."""
        now, freed = clock.now_ns() // 1_000_000_000, 0
        for path in self._layout.partial.iterdir():
            status = path.stat()
            if f"sha256:{path.name}" not in in_use and (all_ or now - status.st_mtime > KEPT_SECONDS):
                freed += status.st_size
                path.unlink()
        return freed
