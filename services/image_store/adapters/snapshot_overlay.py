"""Writable layers as upper directories of overlay mounts."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from shared.contracts.common import Mount
from shared.errors import InvalidArgument

from ..ports import Layer
from . import disk
from .layers_local import LocalLayers
from .layout import StoreLayout

_LONGEST_KEY = 200
_IMAGE, _CHAIN = "trusted.shoal.image", "trusted.shoal.chain"
SPARES = 64
"""Folders kept ready: making one takes longer than all the rest of a `prepare`."""


class OverlaySnapshots:
    """`snapshots/<key>/{upper,work}`; attributes of the folder say what it stands on.

    A snapshot appears under its key by one rename, complete. Nothing is synced: an empty upper directory can
    be made again, what containers write is theirs to sync.
    """

    def __init__(self, layout: StoreLayout, layers: LocalLayers) -> None:
        self._layout, self._layers = layout, layers
        self._known: dict[str, tuple[str, str]] = {}
        self._spares: list[str] = []

    def open(self) -> None:
        """Reads what is there; what was never completed is discarded."""
        for path in self._layout.snapshots.iterdir():
            try:
                stands = os.getxattr(path, _IMAGE).decode(), os.getxattr(path, _CHAIN).decode()
            except OSError:
                self._layout.discard(path)
                continue
            self._known[path.name] = stands
        for path in self._layout.spares.iterdir():
            self._layout.discard(path)

    def _path(self, key: str) -> Path:
        if not key or key.startswith(".") or "/" in key or "\0" in key or len(key) > _LONGEST_KEY:
            raise InvalidArgument(f"key: not usable as a snapshot's name: {key[:100]!r}")
        return self._layout.snapshots / key

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
                self._make(str(self._path(key)), stands, lineage)
            self._known[key] = stands
        elif known != stands:
            raise InvalidArgument(f"snapshot {key} is there already, on top of {known[0]}")
        return self.mounts(key, lineage)

    def _make(self, path: str, stands: tuple[str, str], lineage: tuple[Layer, ...]) -> None:
        folder = self._spares.pop() if self._spares else self._spare()
        if lineage:
            _like(f"{folder}/upper", lineage[0])
        os.setxattr(folder, _IMAGE, stands[0].encode())
        os.setxattr(folder, _CHAIN, stands[1].encode())
        os.rename(folder, path)

    def find(self, key: str) -> tuple[str, str] | None:
        return self._known.get(key)

    def mounts(self, key: str, lineage: tuple[Layer, ...]) -> tuple[Mount, ...]:
        path = self._path(key)
        if not lineage:
            return (Mount(type="bind", source=f"{path}/upper", options=("rbind", "rw")),)
        lower = ":".join(str(self._layers.link(layer)) for layer in lineage)
        options = (f"lowerdir={lower}", f"upperdir={path}/upper", f"workdir={path}/work", "index=off")
        return (Mount(type="overlay", source="overlay", options=options),)

    def upper(self, key: str) -> Path:
        return self._path(key) / "upper"

    def release(self, key: str) -> None:
        """Takes the snapshot out of the way at once; its space comes back with the trash. None there is no error."""
        self._layout.discard(self._path(key))
        self._known.pop(key, None)

    def chains(self) -> set[str]:
        return {chain for _, chain in self._known.values() if chain}

    def keys(self) -> tuple[str, ...]:
        return tuple(self._known)


def _like(upper: str, top: Layer) -> None:
    """The merged root directory shows the attributes of the uppermost."""
    if top.uid or top.gid:
        os.chown(upper, top.uid, top.gid)
    if top.mode != 0o755:
        os.chmod(upper, top.mode)
