"""Whether a store's folder is sound: everything that is there against everything that says it should be.

Reads only, and needs no service: it looks at the folder as the next start of the store will find it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from shared import clock
from shared.contracts.common import Descriptor
from shared.digest import chain_ids, hex_of, is_sha256
from shared.errors import ShoalError

from ..adapters.content_local import LocalContent
from ..adapters.layers_local import read_layer
from ..adapters.layout import StoreLayout
from ..adapters.snapshot_overlay import stands_on
from ..domain import archive, config
from ..ports import Indexed, Kept, Layer

Level = Literal["damage", "unfinished"]
Repair = Literal["", "remove", "forget", "unpack", "index"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be.

    `damage`: something is missing or wrong. `unfinished`: what interrupted work left; the store finishes or forgets it
    when it starts. `subject` is what it is about: a digest, a name, a path in the folder.
    """

    level: Level
    subject: str
    text: str
    repair: Repair = ""
    """remove: the subject, a path; forget: the image of this manifest; unpack: the layer anew; index: write it anew."""


class Checked(msgspec.Struct, kw_only=True):
    """What was looked at, and what was found."""

    images: int = 0
    blobs: int = 0
    bytes: int = 0
    layers: int = 0
    snapshots: int = 0
    findings: list[Finding] = []


class Check:
    """One look at a folder. `hashing`: read every blob and compare it with its name; else sizes alone count."""

    def __init__(self, root: Path, hashing: bool = True, told: Callable[[str], None] = lambda text: None) -> None:
        self.layout = StoreLayout(root)
        self._hashing, self._told = hashing, told
        self._bad: set[str] = set()
        self._blobs: dict[str, int] = {}
        self._layers: dict[str, Layer] = {}
        self.images: dict[str, str] = {}
        """Image ids by the digest of the manifest that the index has."""
        self._needed_blobs: set[str] = set()
        self._needed_layers: set[str] = set()
        self.done = Checked()

    def run(self) -> Checked:
        """Everything, in the order in which one thing rests upon another."""
        for step in (self._folders, self._content, self._unpacked, self._index, self._writable, self._rest):
            self.done.findings += list(step())
        return self.done

    # What must be there

    def _folders(self) -> Iterator[Finding]:
        marker = self.layout.root / "oci-layout"
        try:
            version = msgspec.json.decode(marker.read_bytes(), type=dict[str, str])["imageLayoutVersion"]
        except (OSError, msgspec.DecodeError, KeyError):
            version = ""
        if version != "1.0.0":
            yield _damage("oci-layout", "does not say imageLayoutVersion 1.0.0", "remove")

    def _content(self) -> Iterator[Finding]:
        for path in _entries(self.layout.blobs):
            digest, status = f"sha256:{path.name}", path.lstat()
            if not is_sha256(digest) or not stat.S_ISREG(status.st_mode):
                yield _unfinished(self.layout.root, path, "is no blob")
                continue
            self.done.blobs, self.done.bytes = self.done.blobs + 1, self.done.bytes + status.st_size
            self._told(f"{self.done.blobs} blobs, {self.done.bytes >> 20} MiB")
            if self._hashing and _digest(path) != digest:
                self._bad.add(digest)
                yield _damage(self._name(path), "its bytes are not what its name says", "remove")
            else:
                self._blobs[digest] = status.st_size

    def _unpacked(self) -> Iterator[Finding]:
        for path in _entries(self.layout.layers):
            record = read_layer(path)
            if record is None or record.layer.chain_id != f"sha256:{path.name}" or not (path / "diff").is_dir():
                yield _damage(self._name(path), "is no unpacked layer: its record or its tree is missing", "remove")
            elif not record.is_settled(path):
                yield _unfinished(self.layout.root, path, "was not on disk when the host went down")
            else:
                self._layers[record.layer.chain_id] = record.layer
        self.done.layers = len(self._layers)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.layout.root))

    # What says so

    def _index(self) -> Iterator[Finding]:
        content = LocalContent(self.layout)
        try:
            indexed = content.read_index()
        except ShoalError as error:
            yield _damage("index.json", error.message, "index")
            indexed = self.restored()
        for each in indexed:
            try:
                yield from self._image(each)
            except (ShoalError, OSError) as error:
                yield self._lost(each, getattr(error, "message", str(error)))
        self.done.images = len(self.images)

    def _image(self, indexed: Indexed) -> Iterator[Finding]:
        manifest = indexed.manifest
        config_digest, layer_digests = archive.layer_digests(self._document(manifest.digest))
        image = config.parse(self._document(config_digest))
        chains = chain_ids(image.diff_ids)
        missing = [digest for digest in layer_digests if digest not in self._blobs]
        if missing or len(chains) != len(layer_digests):
            yield self._lost(indexed, f"layer {missing[0]} is {self._how(missing[0])}" if missing else "layers and "
                             "configuration do not go together")  # fmt: skip
            return
        self.images[manifest.digest] = image.id
        self._needed_blobs.update((manifest.digest, config_digest, *layer_digests))
        if indexed.index is not None:
            self._needed_blobs.add(indexed.index.digest)
        self._needed_layers.update(chains)
        for chain in chains:
            if chain not in self._layers:
                text = f"has to be unpacked from its blob for image {image.id}"
                yield Finding(level="unfinished", subject=f"layers/{hex_of(chain)}", text=text, repair="unpack")

    def _document(self, digest: str) -> bytes:
        if digest not in self._blobs:
            raise FileNotFoundError(f"{digest} is {self._how(digest)}")
        return self.layout.blobs.joinpath(hex_of(digest)).read_bytes()[: config.LONGEST]

    def _how(self, digest: str) -> str:
        return "damaged" if digest in self._bad else "missing"

    def _lost(self, indexed: Indexed, why: str) -> Finding:
        return _damage(indexed.manifest.digest, f"the image of this manifest is not whole: {why}", "forget")

    def restored(self) -> tuple[Indexed, ...]:
        """What an index would say that is made of the manifests among the blobs."""
        found = []
        for digest, size in sorted(self._blobs.items()):
            if size > config.LONGEST:
                continue
            with suppress(ShoalError, OSError):
                _, layers = archive.layer_digests(data := self._document(digest))
                kind = msgspec.json.decode(data, type=dict[str, object]).get("mediaType") or archive.MANIFEST_TYPE
                if all(layer in self._blobs for layer in layers):
                    described = Descriptor(media_type=str(kind), digest=digest, size=size)
                    found.append(Indexed(manifest=described))
        return tuple(found)

    # What stands on it, and what nothing stands on

    def _writable(self) -> Iterator[Finding]:
        for path in _entries(self.layout.snapshots):
            stands = stands_on(path)
            if stands is None or not (path / "upper").is_dir() or not (path / "work").is_dir():
                yield _unfinished(self.layout.root, path, "was never completed")
                continue
            self.done.snapshots += 1
            chain = stands[1]
            while chain and (chain in self._layers or chain not in self._needed_layers):
                self._needed_layers.add(chain)
                if chain not in self._layers:
                    where = "its container's own files are in its folder upper"
                    yield _damage(self._name(path), f"stands on the layer {chain}, which is missing; {where}")
                    break
                self._needed_blobs.add(self._layers[chain].blob.digest)
                chain = self._layers[chain].parent

    def _rest(self) -> Iterator[Finding]:
        self._lease()
        for digest in sorted(self._blobs.keys() - self._needed_blobs):
            yield _unfinished(self.layout.root, self.layout.blobs / hex_of(digest), "is a blob that no image needs")
        for chain in sorted(self._layers.keys() - self._needed_layers):
            yield _unfinished(self.layout.root, self.layout.layers / hex_of(chain), "is a layer that no image needs")
        for path in _entries(self.layout.ingest):
            yield _unfinished(self.layout.root, path, "was being taken in")
        for path in _entries(self.layout.links):
            if not path.exists():
                yield _unfinished(self.layout.root, path, "leads to no layer")

    def _lease(self) -> None:
        """What is kept for work that was broken off is needed, as long as its lease holds."""
        for path in _entries(self.layout.leases):
            with suppress(OSError, msgspec.DecodeError):
                kept = msgspec.json.decode(path.read_bytes(), type=Kept)
                if kept.until > clock.now_ns():
                    self._needed_blobs.update(kept.blobs)
                    self._needed_layers.update(kept.chains)
                    self._needed_blobs.update(
                        self._layers[each].blob.digest for each in kept.chains if each in self._layers
                    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _damage(subject: str, text: str, repair: Repair = "") -> Finding:
    return Finding(level="damage", subject=subject, text=text, repair=repair)


def _unfinished(root: Path, path: Path, text: str) -> Finding:
    return Finding(level="unfinished", subject=str(path.relative_to(root)), text=text, repair="remove")


def _digest(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def names_without_images(named: Iterable[tuple[str, str]], images: Iterable[str]) -> list[Finding]:
    """References (name, image id) that lead nowhere, as findings: Docker does not show them, and a pull mends them."""
    known = set(images)
    return [
        Finding(level="unfinished", subject=name, text=f"names the image {image_id}, which is not here")
        for name, image_id in sorted(named)
        if image_id not in known
    ]
