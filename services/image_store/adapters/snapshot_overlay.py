"""Writable layers as upper directories of overlay mounts."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from shared.contracts.common import Mount
from shared.digest import hex_of
from shared.errors import InvalidArgument

from ..ports import Layer
from . import disk
from .layout import StoreLayout

_LONGEST_KEY = 200
_STANDS = "trusted.shoal"
"""Image and chain id as 64 bytes: that much fits into an ext4 inode, text would cost a block of its own."""
_PLAIN = ("index=off", "redirect_dir=off", "metacopy=off")
"""Whatever the kernel's defaults: the upper directory alone says what was changed, in full."""
SPARES = 64
"""Folders kept ready: making one takes longer than all the rest of a `prepare`."""


class OverlaySnapshots:
    """`snapshots/<key>/{upper,work}`; an attribute of the folder says what it stands on.

    A snapshot appears under its key by one rename, complete. Nothing is synced: an empty upper directory can
    be made again, what containers write is theirs to sync.
    """

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._root, self._links = str(layout.snapshots), str(layout.links)
        self._known: dict[str, tuple[str, str]] = {}
        self._spares: list[str] = []

    def open(self) -> None:
        """Reads what is there; what was never completed is discarded."""
        for path in self._layout.snapshots.iterdir():
            stands = stands_on(path)
            if stands is None:
                self._layout.discard(path)
                continue
            self._known[path.name] = stands
        for path in self._layout.spares.iterdir():
            self._layout.discard(path)

    def _path(self, key: str) -> str:
        if not key or key.startswith(".") or "/" in key or "\0" in key or len(key) > _LONGEST_KEY:
            raise InvalidArgument(f"key: not usable as a snapshot's name: {key[:100]!r}")
        return f"{self._root}/{key}"

    def stock(self) -> None:
        """Fills up the folders kept ready, as far as the disk has space; may run in a thread beside `prepare`."""
        with suppress(OSError):
            while len(self._spares) < SPARES:
                self._spares.append(self._spare())

    def _spare(self) -> str:
        path = f"{self._layout.spares}/{secrets.token_hex(8)}"
        os.mkdir(path, 0o700)
        os.mkdir(f"{path}/upper", 0o755)
        os.mkdir(f"{path}/work", 0o700)
        return path

    @property
    def short_of_spares(self) -> bool:
        return len(self._spares) <= SPARES // 2

    def prepare(self, key: str, image_id: str, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]:
        """The mounts of a new snapshot, or of the one that is there; `InvalidArgument` when that is another image's."""
        stands = image_id, lineage[0].chain_id if lineage else ""
        known = self._known.get(key)
        if known is None:
            with disk.full_disk_told():
                self._make(self._path(key), stands, lineage)
            self._known[key] = stands
        elif known != stands:
            raise InvalidArgument(f"snapshot {key} is there already, on top of {known[0]}")
        return self.mounts(key, lineage)

    def _make(self, path: str, stands: tuple[str, str], lineage: tuple[Layer, ...]) -> None:
        folder = self._spares.pop() if self._spares else self._spare()
        if lineage:
            _like(f"{folder}/upper", lineage[0])
        os.setxattr(folder, _STANDS, b"".join(bytes.fromhex(hex_of(each)) for each in stands))
        os.rename(folder, path)

    def find(self, key: str) -> tuple[str, str] | None:
        return self._known.get(key)

    def mounts(self, key: str, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]:
        path = self._path(key)
        lower = ":".join((*(f"{self._links}/{layer.link}" for layer in lineage), str(self._layout.init)))
        options = (f"lowerdir={lower}", f"upperdir={path}/upper", f"workdir={path}/work", *_PLAIN)
        return (Mount(type="overlay", source="overlay", options=options),)

    def view(self, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]:
        """The mounts of an image without a writable layer."""
        if not lineage:
            return (Mount(type="bind", source=str(self._layout.empty), options=("bind", "ro")),)
        lower = ":".join((*(f"{self._links}/{layer.link}" for layer in lineage), str(self._layout.empty)))
        return (Mount(type="overlay", source="overlay", options=("ro", f"lowerdir={lower}", *_PLAIN)),)

    def upper(self, key: str) -> Path:
        return Path(self._path(key), "upper")

    def release(self, key: str) -> None:
        """Takes the snapshot out of the way at once; its space comes back with the trash. None there is no error."""
        self._layout.discard(Path(self._path(key)))
        self._known.pop(key, None)

    def take(self, key: str, folder: Path) -> Path:
        os.rename(self._path(key), folder / "snapshot")
        self._known.pop(key, None)
        return folder / "snapshot" / "upper"

    def chains(self) -> set[str]:
        return {chain for _, chain in self._known.values() if chain}

    def keys(self) -> tuple[str, ...]:
        return tuple(self._known)


def stands_on(path: Path) -> tuple[str, str] | None:
    """Image and chain id of the snapshot in a folder; None for one that was never completed."""
    try:
        return _unpack(os.getxattr(path, _STANDS))
    except OSError:
        return None


def _unpack(stands: bytes) -> tuple[str, str]:
    image, chain = stands[:32].hex(), stands[32:].hex()
    return f"sha256:{image}", f"sha256:{chain}" if chain else ""


def _like(upper: str, top: Layer) -> None:
    """The merged root directory shows the attributes of the uppermost."""
    if top.uid or top.gid:
        os.chown(upper, top.uid, top.gid)
    if top.mode != 0o755:
        os.chmod(upper, top.mode)
