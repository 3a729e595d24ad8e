"""The store's folder: where everything is, and sweeping what a crash left."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.archive.remove_tree import remove_tree

from . import disk, init_layer

_RESERVE_BYTES = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True)
class StoreLayout:
    """An OCI image layout (`oci-layout`, `index.json`, `blobs`), and beside it what is unpacked.

    `layers/<chain id>/diff` are unpacked layers, `l/<short>` links to them, `init` what lies below all of them,
    `snapshots/<key>` writable layers, `spares` folders for more of them, `ingest` what is being taken in, `partial`
    blobs that came in part, `leases` what is kept for work that was broken off, `trash` what is being removed;
    `reserve` is there to be given up when the disk is full.
    """

    root: Path
    _reserving: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def blobs(self) -> Path:
        return self.root / "blobs" / "sha256"

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    @property
    def layers(self) -> Path:
        return self.root / "layers"

    @property
    def links(self) -> Path:
        return self.root / "l"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def empty(self) -> Path:
        """A folder with nothing in it, for mounts that need one layer more than an image has."""
        return self.root / "empty"

    @property
    def init(self) -> Path:
        """What lies below every image; see `init_layer`."""
        return self.root / "init"

    @property
    def ingest(self) -> Path:
        return self.root / "ingest"

    @property
    def partial(self) -> Path:
        return self.root / "partial"

    @property
    def spares(self) -> Path:
        return self.root / "spares"

    @property
    def leases(self) -> Path:
        return self.root / "leases"

    @property
    def trash(self) -> Path:
        return self.root / "trash"

    def open(self) -> None:
        """Makes the folders, moves what a predecessor was taking in to the trash."""
        for path in (self.blobs, self.layers, self.links, self.snapshots, self.spares, self.ingest, self.partial,
                     self.leases, self.trash):  # fmt: skip
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.chmod(0o700)
        for path in self.ingest.iterdir():
            self.discard(path)
        marker = self.root / "oci-layout"
        if not marker.exists() or marker.read_bytes() != _LAYOUT:
            for path in (self.root.parent, self.blobs.parent):  # what names the folders of durable content
                disk.sync(path)
            disk.write_file(marker, _LAYOUT, self.ingest / secrets.token_hex(8))
            disk.sync(self.root)
        self.empty.mkdir(mode=0o755, exist_ok=True)
        init_layer.make(self.init)

    def discard(self, path: Path) -> Path | None:
        """Takes a file or tree out of the way in one step; `empty_trash` gives its space back."""
        grave = self.trash / secrets.token_hex(8)
        try:
            os.rename(path, grave)
        except FileNotFoundError:
            return None
        return grave

    def empty_trash(self) -> None:
        """Removes all that was discarded. May be interrupted and called again; blocks."""
        for path in self.trash.iterdir():
            remove_tree(str(path))
        self._keep_reserve()

    def _keep_reserve(self) -> None:
        """Space to write an index with, so that images can be removed from a full disk. Not while that is done."""
        if self._reserving.acquire(blocking=False):
            try:
                with suppress(OSError), open(self._reserve, "ab") as file:
                    os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
            finally:
                self._reserving.release()

    @contextmanager
    def reserve_given(self) -> Iterator[None]:
        """The space kept for a full disk is free in the block; it is kept again with the next emptying of the trash."""
        with self._reserving:
            self._reserve.unlink(missing_ok=True)
            yield

    @property
    def _reserve(self) -> Path:
        return self.root / "reserve"
