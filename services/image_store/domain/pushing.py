"""What of an image goes to a registry, and how its manifest looks there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from shared.contracts.common import Descriptor
from shared.contracts.image_store import Image
from shared.digest import digest_of
from shared.reference import Reference

from ..ports import Document
from . import archive, bundle
from .catalog import Catalog
from .manifests import Manifest

MOST_SOURCES = 3
"""Repositories from which a layer is tried to be mounted; each try is a question."""
_PLAIN = {
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


class PushLayer(msgspec.Struct, frozen=True):
    """One layer: its blob here, and the media type it has there; `compress`: it goes out by gzip."""

    diff_id: str
    blob: Descriptor
    media_type: str
    compress: bool


def layers(manifest: Manifest, image: Image) -> tuple[PushLayer, ...]:
    """The layers, lowest first. Plain ones are compressed on the way, as Docker does; all others go as they are."""
    return tuple(
        PushLayer(diff_id, blob, _PLAIN.get(blob.media_type, blob.media_type), blob.media_type in _PLAIN)
        for diff_id, blob in zip(image.diff_ids, manifest.layers, strict=True)
    )


def with_layers(document: Document, there: Sequence[Descriptor]) -> Document:
    """The manifest with its layers as they are in the registry; the very same one when they are the same."""
    raw: dict[str, Any] = archive.decode(document.data, dict[str, Any], f"manifest {document.digest}")
    new = [
        {**old, "mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
        for old, blob in zip(raw.get("layers") or [], there, strict=True)
    ]
    if new == (raw.get("layers") or []):
        return document
    data = msgspec.json.encode(raw | {"layers": new})
    return Document(media_type=document.media_type, digest=digest_of(data), data=data)


def index(images: Iterable[tuple[Document, Image]]) -> Document:
    """The index of manifests for several platforms."""
    data = bundle.make_index(
        bundle.platform_entry(
            Descriptor(media_type=each.media_type, digest=each.digest, size=len(each.data)), image.platform
        )
        for each, image in images
    )
    return Document(media_type=archive.INDEX_TYPE, digest=digest_of(data), data=data)


def sources(catalog: Catalog, target: Reference, blobs: Iterable[str]) -> tuple[str, ...]:
    """Other repositories of the same registry that may have one of these blobs: the likest names first."""
    wanted, found = set(blobs), set()
    for image in catalog.images():
        if wanted & catalog.stored(image.id).blobs:
            names = catalog.references(image.id)
            found |= {each.path for each in names if each.domain == target.domain and each.path != target.path}
    return tuple(sorted(found, key=lambda path: (-_alike(path, target.path), path))[:MOST_SOURCES])


def _alike(one: str, other: str) -> int:
    """How many components two names have in common from the beginning."""
    count = 0
    for left, right in zip(one.split("/"), other.split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count
