"""Blobs in a local OCI image layout."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from shared.contracts.common import Descriptor
from shared.digest import digest_of, hex_of
from shared.errors import DataLoss
from shared.shielded import in_thread

from ..ports import Indexed
from . import disk
from .layout import StoreLayout

log = logging.getLogger(__name__)

_PACKED = "trusted.shoal.packed"
_PARENT, _INDEX = "dev.shoal.image.parent", "dev.shoal.image.index"


class _Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct, frozen=True, rename="camel"):
    schema_version: int = 2
    media_type: str = "application/vnd.oci.image.index.v1+json"
    manifests: list[_Descriptor] = []


class LocalContent:
    """Files named by what they hold. A blob appears under its name only when it is complete and synced."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._present: set[str] = set()

    def open(self) -> None:
        self._present = {f"sha256:{path.name}" for path in self._layout.blobs.iterdir()}

    def has(self, digest: str) -> bool:
        return digest in self._present

    def digests(self) -> set[str]:
        return set(self._present)

    def path(self, digest: str) -> Path:
        return self._layout.blobs / hex_of(digest)

    def read(self, digest: str, most: int) -> bytes:
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            raise DataLoss(f"blob {digest} is missing") from None
        if len(data) > most or digest_of(data) != digest:
            raise DataLoss(f"blob {digest} is damaged")
        return data

    async def flush(self, file: Path) -> None:
        await asyncio.to_thread(disk.sync, file)

    def adopt(self, file: Path, digest: str) -> None:
        try:
            os.link(file, self.path(digest), follow_symlinks=False)
        except FileExistsError:
            pass
        self._present.add(digest)

    async def write(self, data: bytes) -> str:
        digest = digest_of(data)
        if not self.has(digest):
            await in_thread(self._write, digest, data)
        return digest

    def _write(self, digest: str, data: bytes) -> None:
        """Whoever asked may be cancelled meanwhile: what is there is known all the same, and can be collected."""
        disk.write_file(self.path(digest), data, self._temporary())
        self._present.add(digest)

    def delete(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self.path(digest).unlink(missing_ok=True)
            self._present.discard(digest)

    def packed(self, digest: str) -> Descriptor | None:
        try:
            digest_hex, _, size = os.getxattr(self.path(digest), _PACKED).decode().partition(" ")
            return Descriptor(media_type="", digest=f"sha256:{digest_hex}", size=int(size))
        except (OSError, ValueError):
            return None

    def remember_packed(self, digest: str, packed: Descriptor) -> None:
        with suppress(OSError):  # it costs a compression, no more
            os.setxattr(self.path(digest), _PACKED, f"{hex_of(packed.digest)} {packed.size}".encode())

    def read_index(self) -> tuple[Indexed, ...]:
        try:
            index = msgspec.json.decode(self._layout.index.read_bytes(), type=_Index)
        except FileNotFoundError:
            return ()
        except msgspec.DecodeError as error:
            raise DataLoss(f"{self._layout.index}: {error}") from None
        return tuple(_indexed(each) for each in index.manifests)

    async def write_index(self, images: Iterable[Indexed]) -> None:
        index = _Index(manifests=[_described(each) for each in images])
        await asyncio.to_thread(self._replace_index, msgspec.json.encode(index))

    def _replace_index(self, document: bytes) -> None:
        disk.sync(self._layout.blobs)  # what the index names is there before it
        try:
            disk.write_file(self._layout.index, document, self._temporary())
        except OSError as error:
            if error.errno not in disk.FULL:
                raise
            with self._layout.reserve_given(), disk.full_disk_told():
                disk.write_file(self._layout.index, document, self._temporary())
        disk.sync(self._layout.root)

    def _temporary(self) -> Path:
        return self._layout.ingest / secrets.token_hex(8)


def _indexed(raw: _Descriptor) -> Indexed:
    descriptor = Descriptor(media_type=raw.media_type, digest=raw.digest, size=raw.size)
    index = None
    if _INDEX in raw.annotations:
        media_type, digest, size = raw.annotations[_INDEX].split(" ")
        index = Descriptor(media_type=media_type, digest=digest, size=int(size))
    return Indexed(manifest=descriptor, parent=raw.annotations.get(_PARENT, ""), index=index)


def _described(image: Indexed) -> _Descriptor:
    manifest, index = image.manifest, image.index
    annotations = {_PARENT: image.parent} if image.parent else {}
    if index is not None:
        annotations[_INDEX] = f"{index.media_type} {index.digest} {index.size}"
    return _Descriptor(manifest.media_type, manifest.digest, manifest.size, annotations)
