"""The documents of a saved image archive: an OCI layout that older engines can load as well (Docker 25 and up)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shared.contracts.common import Descriptor, Platform
from shared.digest import digest_of, hex_of
from shared.reference import Reference

from ..ports import Document
from . import manifests as documents
from .archive import CONFIG_TYPE, INDEX_TYPE

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """One image to save: its blobs by descriptor, layers lowest first; `index`: what it came of, if that."""

    image_id: str
    config_size: int
    manifest: Descriptor
    platform: Platform
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]
    tags: tuple[Reference, ...]
    parent: str = ""
    index: Document | None = None

    def blobs(self) -> tuple[Descriptor, ...]:
        config = Descriptor(media_type=CONFIG_TYPE, digest=self.image_id, size=self.config_size)
        return (config, self.manifest, *self.layers)


def blob_name(digest: str) -> str:
    """A blob's name in the archive."""
    return f"blobs/sha256/{hex_of(digest)}"


def index(images: Iterable[Saved]) -> bytes:
    """`index.json`: the manifest once for each name, with the annotations that containerd and Docker read.

    A name that several images have, each for another platform, stands for an index of them.
    """
    images = tuple(images)
    manifests = []
    for tag, group in _by_name(images).items():
        names = {"io.containerd.image.name": str(tag), "org.opencontainers.image.ref.name": tag.tag}
        of_all = _index_of(group)
        manifests.append((_described(of_all) if of_all else _entry(group[0])) | {"annotations": names})
    manifests += [_entry(image) for image in images if not image.tags]
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})


def indexes(images: Iterable[Saved]) -> dict[str, bytes]:
    """The indexes that names stand for, by digest."""
    found = (_index_of(group) for group in _by_name(images).values())
    return {each.digest: each.data for each in found if each is not None}


def _by_name(images: Iterable[Saved]) -> dict[Reference, list[Saved]]:
    groups: dict[Reference, list[Saved]] = {}
    for image in images:
        for tag in image.tags:
            groups.setdefault(tag, []).append(image)
    return groups


def _entry(image: Saved) -> dict[str, object]:
    return platform_entry(image.manifest, image.platform)


def _index_of(images: list[Saved]) -> Document | None:
    """What a name stands for: the index that the images came of when it has just these, else one made.

    None: for the one image there is.
    """
    came = images[0].index
    if came is not None and all(each.index == came for each in images):
        digests = {each.manifest.digest for each in images}
        if documents.members(came) == digests:
            return came
    if len(images) == 1:
        return None
    data = make_index(_entry(image) for image in images)
    return Document(media_type=INDEX_TYPE, digest=digest_of(data), data=data)


def _described(document: Document) -> dict[str, object]:
    return {"mediaType": document.media_type, "digest": document.digest, "size": len(document.data)}


def make_index(entries: Iterable[dict[str, object]]) -> bytes:
    """The index of these entries; the same bytes in whatever order they come."""
    ordered = sorted(entries, key=lambda entry: str(entry["digest"]))
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": ordered})


def platform_entry(manifest: Descriptor, platform: Platform) -> dict[str, object]:
    """A manifest as an index has it."""
    return _descriptor(manifest) | {"platform": _platform(platform)}


def manifest(images: Iterable[Saved]) -> bytes:
    """`manifest.json`, Docker's own table of contents; a name of several images is here the first one's alone."""
    images = tuple(images)
    saved = {image.image_id for image in images}
    firsts = {tag: group[0].image_id for tag, group in _by_name(images).items()}
    items = []
    for image in images:
        item: dict[str, object] = {
            "Config": blob_name(image.image_id),
            "RepoTags": [tag.familiar for tag in image.tags if firsts[tag] == image.image_id] or None,
            "Layers": [blob_name(layer.digest) for layer in image.layers],
        }
        if image.parent in saved:
            item["Parent"] = image.parent
        sources = zip(image.diff_ids, image.layers, strict=True)
        item["LayerSources"] = {diff_id: _descriptor(layer) for diff_id, layer in sources}
        items.append(item)
    return msgspec.json.encode(items) + b"\n"


def repositories(images: Iterable[Saved]) -> bytes:
    """`repositories`: the oldest form, from names to top layers; b"" without names."""
    found: dict[str, dict[str, str]] = {}
    for image in images:
        for tag in image.tags:
            top = hex_of(image.layers[-1].digest) if image.layers else ""
            found.setdefault(tag.familiar_name, {}).setdefault(tag.tag, top)
    return msgspec.json.encode(found) + b"\n" if found else b""


def _descriptor(value: Descriptor) -> dict[str, object]:
    return {"mediaType": value.media_type, "digest": value.digest, "size": value.size}


def _platform(value: Platform) -> dict[str, str]:
    variant = {"variant": value.variant} if value.variant else {}
    return {"architecture": value.architecture, "os": value.os, **variant}


def tar_header(name: str, size: int, directory: bool = False) -> bytes:
    """A ustar header: root's, 1970, so that the same images make the same bytes. Names of at most 100 bytes."""
    block = bytearray(512)
    encoded = name.encode()
    if len(encoded) > 100:
        raise ValueError(f"too long for a header: {name}")
    block[0 : len(encoded)] = encoded
    block[100:108] = b"0000755\0" if directory else b"0000644\0"
    block[108:124] = b"0000000\x000000000\0"
    block[124:136] = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = b"5" if directory else b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
