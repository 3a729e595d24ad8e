"""Unpacked layers on the local disk, ready to be lower directories of overlay mounts."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared.digest import hex_of
from shared.errors import DataLoss
from shared.paths import open_in_root

from ..ports import Layer, Unpacked
from . import disk
from .layout import StoreLayout

log = logging.getLogger(__name__)

_OPAQUE = "trusted.overlay.opaque"
_SHORTEST_LINK = 6
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Record(msgspec.Struct, frozen=True):
    """`layer.json` beside a tree. `boot`: the boot in which it was written, and may not be synced."""

    layer: Layer
    boot: str

    def is_settled(self, path: Path) -> bool:
        """Whether the tree beside it is whole: on disk, or written since the host was started."""
        return (path / "synced").exists() or self.boot == _boot()


class LocalLayers:
    """`layers/<chain id>/diff`, immutable once there.

    The trees are not synced one by one: the blobs they came from are. `settle` syncs them all later and
    marks them; after a power cut a tree without the mark counts as lost.
    """

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._layers: dict[str, Layer] = {}
        self._links: dict[str, str] = {}
        self._unsettled: set[str] = set()

    def open(self) -> None:
        """Reads what is there; trees that may be damaged are discarded, to be unpacked again."""
        for path in self._layout.layers.iterdir():
            record = read_layer(path)
            if record is None or not record.is_settled(path):
                self._layout.discard(path)
                continue
            self._keep(record.layer)
            if not (path / "synced").exists():
                self._unsettled.add(record.layer.chain_id)
        self._relink()

    def _keep(self, layer: Layer) -> None:
        self._layers[layer.chain_id] = layer
        self._links[layer.link] = layer.chain_id

    def _relink(self) -> None:
        for path in self._layout.links.iterdir():
            if path.name not in self._links:
                path.unlink()
        for name, chain_id in self._links.items():
            self._point(name, chain_id)

    def _point(self, name: str, chain_id: str) -> None:
        try:
            os.symlink(f"../layers/{hex_of(chain_id)}/diff", self._layout.links / name)
        except FileExistsError:
            pass

    def get(self, chain_id: str) -> Layer | None:
        return self._layers.get(chain_id)

    def all(self) -> tuple[Layer, ...]:
        return tuple(self._layers.values())

    def lineage(self, chain_id: str) -> tuple[Layer, ...]:
        found = []
        while chain_id:
            layer = self._layers.get(chain_id)
            if layer is None:
                raise DataLoss(f"layer {chain_id} is missing")
            found.append(layer)
            chain_id = layer.parent
        return tuple(found)

    def directory(self, layer: Layer) -> Path:
        return self._layout.layers / hex_of(layer.chain_id)

    def link(self, layer: Layer) -> Path:
        return self._layout.links / layer.link

    def _short(self, chain_id: str) -> str:
        """A name as short as can be: a mount's options must fit into one page."""
        digits = hex_of(chain_id)
        length = _SHORTEST_LINK
        while self._links.get(digits[:length], chain_id) != chain_id:
            length += 1
        return digits[:length]

    async def put(self, layer: Layer, tree: Path, unpacked: Unpacked) -> Layer:
        """Takes an unpacked tree over, whole; `tree` is a folder that holds `diff`."""
        below = [self.directory(each) / "diff" for each in self.lineage(layer.parent)]
        root = await asyncio.to_thread(_finish, tree / "diff", below, unpacked)
        layer = msgspec.structs.replace(
            layer, link=self._short(layer.chain_id), mode=stat.S_IMODE(root.st_mode), uid=root.st_uid, gid=root.st_gid
        )
        (tree / "layer.json").write_bytes(msgspec.json.encode(_Record(layer, _boot())))
        self._layout.discard(self.directory(layer))
        os.rename(tree, self.directory(layer))
        self._keep(layer)
        self._point(layer.link, layer.chain_id)
        self._unsettled.add(layer.chain_id)
        return layer

    async def delete(self, chain_ids: Iterable[str]) -> None:
        for chain_id in chain_ids:
            layer = self._layers.pop(chain_id, None)
            if layer is not None:
                self._unsettled.discard(chain_id)
                self._links.pop(layer.link, None)
                self.link(layer).unlink(missing_ok=True)
                self._layout.discard(self.directory(layer))

    async def settle(self) -> None:
        """Syncs and marks what was unpacked since the last time."""
        fresh, self._unsettled = self._unsettled, set()
        if fresh:
            await asyncio.to_thread(disk.sync_filesystem, self._layout.layers)
        for chain_id in fresh & self._layers.keys():
            (self.directory(self._layers[chain_id]) / "synced").touch()


def read_layer(path: Path) -> _Record | None:
    """The record of an unpacked layer; None, and said so in the log, when it cannot be read."""
    try:
        return msgspec.json.decode((path / "layer.json").read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError) as error:
        log.warning("layer %s is unreadable and dropped: %s", path.name, error)
        return None


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _finish(tree: Path, below: list[Path], unpacked: Unpacked) -> os.stat_result:
    """What unpacking may not do itself: privileged attributes, and what layers below say. Returns the root's status."""
    root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path in unpacked.opaque:
            with _directory(root, path) as target:
                if target is not None:
                    os.setxattr(target, _OPAQUE, b"y")
        for path in unpacked.implied:
            with _directory(root, path) as target:
                original = _first(below, path)
                if target is not None and original is not None:
                    _describe(target, original)
        return os.fstat(root)
    finally:
        os.close(root)


@contextmanager
def _directory(root: int, path: str) -> Iterator[int | None]:
    """A directory of the tree; None where a later entry of the archive has taken its place."""
    try:
        target = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield None
        return
    try:
        yield target
    finally:
        os.close(target)


def _first(below: list[Path], path: str) -> os.stat_result | None:
    """The directory as the next layer below has it, where one does."""
    for tree in below:
        root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        finally:
            os.close(root)
        status = os.fstat(found)
        os.close(found)
        return status
    return None


def _describe(target: int, like: os.stat_result) -> None:
    os.fchown(target, like.st_uid, like.st_gid)
    os.fchmod(target, stat.S_IMODE(like.st_mode))
    os.utime(target, ns=(like.st_mtime_ns, like.st_mtime_ns))
