"""Manifests and indexes as registries give them: recognised, checked, chosen by platform. Pure.

`choose` is a plan in steps: it asks for one document at a time, is sent it, and ends with an image's manifest.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image
from shared.digest import check_sha256, digest_of
from shared.errors import InvalidArgument, NotFound
from shared.reference import Reference

from ..ports import Document
from . import archive, config
from . import platform as platforms

DOCKER = "application/vnd.docker.distribution.manifest"
DOCKER_MANIFEST, DOCKER_LIST = f"{DOCKER}.v2+json", f"{DOCKER}.list.v2+json"
MANIFESTS = (archive.MANIFEST_TYPE, DOCKER_MANIFEST)
INDEXES = (archive.INDEX_TYPE, DOCKER_LIST)
SCHEMA_1 = (f"{DOCKER}.v1+json", f"{DOCKER}.v1+prettyjws")
ACCEPTED = (*MANIFESTS, *INDEXES, *SCHEMA_1)
"""What is asked for; schema 1 too, so that what a registry has can be named."""
DOCKER_CONFIG, PLUGIN_CONFIG = "application/vnd.docker.container.image.v1+json", "application/vnd.docker.plugin.v1+json"
DEEPEST = 4
MOST_MANIFESTS = 1000
_IMAGE_CONFIGS = (DOCKER_CONFIG, archive.CONFIG_TYPE, "application/octet-stream", "application/json", "text/html", "")
_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")
_ANY_LAYER = ("application/octet-stream", "application/json", "text/html", "")
_ATTESTATION = "vnd.docker.reference.type"


class Want(msgspec.Struct, frozen=True):
    """The document asked for next: a tag or a digest; `size` in bytes where it is known."""

    reference: str
    size: int = -1


class _Platform(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] | None = msgspec.field(name="os.features", default=None)


class Item(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A descriptor in a manifest or an index."""

    digest: str
    size: int
    media_type: str = ""
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str = ""

    @property
    def is_attestation(self) -> bool:
        """Whether it says something about an image instead of being one."""
        return bool((self.annotations or {}).get(_ATTESTATION))

    def descriptor(self) -> Descriptor:
        return Descriptor(
            media_type=self.media_type,
            digest=check_sha256(self.digest, "descriptor"),
            size=_size(self),
            annotations=self.annotations or {},
        )


class _Any(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All fields that tell one kind of document from another."""

    schema_version: int = 0
    media_type: str = ""
    config: Item | None = None
    layers: list[Item] | None = None
    manifests: list[Item] | None = None
    fs_layers: Any = None
    subject: Item | None = None
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True):
    """Manifests for several platforms."""

    document: Document
    items: tuple[Item, ...]


class Manifest(msgspec.Struct, frozen=True):
    """The manifest of one image: its configuration and layers, lowest first."""

    document: Document
    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str = ""


class Chosen(msgspec.Struct, frozen=True):
    """The manifest that a name led to; `index` is what the name stands for, when that is an index."""

    manifest: Manifest
    index: Document | None = None

    @property
    def target(self) -> str:
        """The digest that the name stands for: of the manifest, or of the index."""
        return (self.index or self.manifest.document).digest


class Pullable(msgspec.Struct, frozen=True):
    """An image of which all but the layers is here."""

    manifest: Manifest
    image: Image
    config: bytes


Plan = Generator[Want, Document, Chosen]


def choose(reference: Reference, host: Platform, wanted: Platform | None) -> Plan:
    """The plan from a name to the manifest for a platform: the one wanted, else the host's.

    Raises `InvalidArgument` for documents that are not what they should be, `NotFound` when there is none for it.
    """
    document = yield Want(reference.digest or reference.tag)
    index: Document | None = None
    for _ in range(DEEPEST):
        found = read(document, reference)
        if isinstance(found, Manifest):
            return Chosen(found, index)
        index = index or found.document
        item = _pick(found, host, wanted)
        document = yield Want(check_sha256(item.digest, "manifest"), _size(item))
    raise InvalidArgument(f"manifests of {reference.familiar} are nested deeper than {DEEPEST}")


def _pick(index: Index, host: Platform, wanted: Platform | None) -> Item:
    real = [each for each in index.items if not each.is_attestation]
    pairs = [(_platform(each.platform), each) for each in real if each.platform]
    found = platforms.choose(wanted or host, pairs)
    if found is None:
        found = next((each for each in real if each.platform is None), None)
    if found is None:
        raise NotFound(f"no matching manifest for {platforms.describe(wanted or host)} in the manifest list entries")
    return found


def _platform(raw: _Platform) -> Platform:
    return Platform(os=raw.os, architecture=raw.architecture, variant=raw.variant, os_version=raw.os_version)


def platforms_of(index: Index) -> tuple[Platform, ...]:
    """The platforms an index has entries for."""
    return tuple(_platform(each.platform) for each in index.items if each.platform)


def members(index: Document) -> set[str]:
    """The digests of all that an index has. Raises `InvalidArgument` for what is none."""
    found = read(index)
    if isinstance(found, Manifest):
        raise InvalidArgument(f"manifest {index.digest} is no index")
    return {item.digest for item in found.items}


def read(document: Document, reference: Reference | None = None) -> Manifest | Index:
    """What a document is; its own media type, the one it came with and its fields must agree. `InvalidArgument`."""
    raw: _Any = archive.decode(document.data, _Any, f"manifest {document.digest}")
    kind = document.media_type.partition(";")[0].strip().lower()
    kind = kind if kind in ACCEPTED else raw.media_type or _guess(raw)
    if kind in SCHEMA_1 or raw.schema_version == 1 or raw.fs_layers is not None:
        raise InvalidArgument(_schema_1(reference))
    if kind not in ACCEPTED:
        raise InvalidArgument(f"unsupported media type {kind or document.media_type}"[:300])
    if raw.media_type and raw.media_type != kind:
        raise InvalidArgument(f"manifest {document.digest} came as {kind} and says it is {raw.media_type[:200]}")
    document = msgspec.structs.replace(document, media_type=kind)
    return _index(document, raw) if kind in INDEXES else _manifest(document, raw)


def _guess(raw: _Any) -> str:
    if raw.manifests is not None:
        return archive.INDEX_TYPE
    return archive.MANIFEST_TYPE if raw.config is not None else ""


def _schema_1(reference: Reference | None) -> str:
    who = f" Suggest the author of {reference} to upgrade the image" if reference else ""
    what = " to the OCI Format or Docker Image manifest v2, schema 2." if reference else ""
    return (
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed."
        f"{who}{what} More information at https://docs.docker.com/go/deprecated-image-specs/"
    )


def _index(document: Document, raw: _Any) -> Index:
    if raw.manifests is None or raw.config is not None or raw.layers is not None:
        raise InvalidArgument(f"manifest {document.digest} is no index, though its media type says so")
    if len(raw.manifests) > MOST_MANIFESTS:
        raise InvalidArgument(f"index {document.digest} has more than {MOST_MANIFESTS} manifests")
    return Index(document, tuple(raw.manifests))


def _manifest(document: Document, raw: _Any) -> Manifest:
    if raw.config is None or raw.manifests is not None:
        raise InvalidArgument(f"manifest {document.digest} is no image manifest, though its media type says so")
    layers = raw.layers or []
    if len(layers) > config.MOST_LAYERS:
        raise InvalidArgument(
            f"manifest {document.digest}: {len(layers)} layers, at most {config.MOST_LAYERS} are possible"
        )
    return Manifest(document, raw.config.descriptor(), tuple(each.descriptor() for each in layers), raw.artifact_type)


def _size(item: Item) -> int:
    if not 0 <= item.size < 1 << 60:
        raise InvalidArgument(f"descriptor of {item.digest[:100]}: a size of {item.size} bytes")
    return item.size


def check_image(manifest: Manifest) -> None:
    """Whether it is the manifest of a container image that can be taken in. Raises `InvalidArgument`."""
    kind = manifest.config.media_type
    if kind == PLUGIN_CONFIG:
        raise InvalidArgument(f'Encountered remote "{kind}"(plugin) when fetching')
    if kind not in _IMAGE_CONFIGS:
        raise InvalidArgument(f"unsupported media type {kind[:200]}")
    if manifest.config.size > config.LONGEST:
        raise InvalidArgument(f"image configuration of {manifest.config.size} bytes, at most {config.LONGEST}")
    for layer in manifest.layers:
        check_layer(layer)


def check_layer(layer: Descriptor) -> None:
    """Whether it is a layer that a registry holds and that can be unpacked."""
    kind = layer.media_type.lower()
    if kind.startswith(_FOREIGN):
        raise InvalidArgument(
            f"layer {layer.digest} is a foreign layer ({layer.media_type}): "
            "those are not kept in registries, and not supported"
        )
    if kind not in _ANY_LAYER and (not kind.startswith(_LAYERS) or "encrypted" in kind):
        raise InvalidArgument(f"unsupported media type {layer.media_type[:200]}")


def complete(manifest: Manifest, document: bytes) -> Pullable:
    """The image with its configuration; raises `InvalidArgument` when they do not go together."""
    if digest_of(document) != manifest.config.digest or len(document) != manifest.config.size:
        raise InvalidArgument(f"image config verification failed for digest {manifest.config.digest}")
    image = config.parse(document)
    if len(image.diff_ids) != len(manifest.layers):
        raise InvalidArgument("layers from manifest don't match image configuration")
    if image.platform.os != "linux":
        raise InvalidArgument(f'cannot download image with operating system "{image.platform.os}"')
    return Pullable(manifest, image, document)
