"""Reading an image archive's table of contents: which images it holds, of which files.

`images` is a plan in steps: it asks for one document at a time (`yield entry`), is sent its bytes, and
ends with the images. It never sees a path of the host: names are looked up in the archive alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from posixpath import dirname, join, normpath
from typing import Any

import msgspec

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image
from shared.digest import check_sha256, hex_of
from shared.errors import InvalidArgument, NotFound
from shared.reference import Reference, parse

from ..ports import Document, Entry
from . import config
from . import platform as platforms

MOST_LINKS = 16
MOST_IMAGES = 1000
DEEPEST_INDEX = 4
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_MANIFEST_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
_INDEX_TYPES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
_NAME, _TAG = "io.containerd.image.name", "org.opencontainers.image.ref.name"
_ATTESTATION = "vnd.docker.reference.type"


class Loadable(msgspec.Struct, frozen=True, kw_only=True):
    """One image of an archive. `manifest`: what came with it, or None; `index`: what its name stands for, if that."""

    image: Image
    config: bytes
    layers: tuple[Entry, ...]
    tags: tuple[Reference, ...]
    manifest: Document | None = None
    index: Document | None = None
    parent: str = ""


Plan = Generator[Entry, bytes, tuple[Loadable, ...]]


class _Item(msgspec.Struct, frozen=True):
    """One image in Docker's `manifest.json`."""

    config: str = msgspec.field(name="Config")
    layers: list[str] | None = msgspec.field(name="Layers", default=None)
    repo_tags: list[str] | None = msgspec.field(name="RepoTags", default=None)
    parent: str = msgspec.field(name="Parent", default="")


class _Platform(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")


class _Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    digest: str
    size: int
    media_type: str = msgspec.field(name="mediaType", default="")
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """An OCI image manifest, or Docker's schema 2."""

    config: _Descriptor
    layers: list[_Descriptor] = []
    media_type: str = msgspec.field(name="mediaType", default="")


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    manifests: list[_Descriptor] = []
    media_type: str = msgspec.field(name="mediaType", default="")


class Archive:
    """The entries of an archive by name."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {normpath(entry.name.lstrip("/") or "."): entry for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def file(self, name: str) -> Entry:
        """The regular file of this name, through links inside the archive; raises `InvalidArgument`."""
        entry = self._lookup(normpath(name), MOST_LINKS)
        if entry is None:
            raise InvalidArgument(f"invalid archive: {name[:200]!r} is missing")
        if entry.kind != "file":
            raise InvalidArgument(f"invalid archive: {name[:200]!r} is not a regular file")
        return entry

    def _lookup(self, path: str, links: int) -> Entry | None:
        entry = self._entries.get(path)
        if entry is None or entry.kind != "symlink" or not links:
            return entry
        return self._lookup(normpath(join(dirname(path), entry.link)), links - 1)

    def has(self, descriptor: _Descriptor) -> bool:
        """Whether the blob is there, whatever it holds."""
        return f"blobs/sha256/{hex_of(check_sha256(descriptor.digest, 'descriptor'))}" in self

    def blob(self, descriptor: _Descriptor) -> Entry:
        """The blob a descriptor names; what it holds must be what its digest and size say."""
        digest = check_sha256(descriptor.digest, "descriptor")
        entry = self.file(f"blobs/sha256/{hex_of(digest)}")
        if (entry.digest, entry.size) != (digest, descriptor.size):
            raise InvalidArgument(
                f"invalid archive: blob {digest} holds {entry.digest} of {entry.size} bytes, "
                f"{descriptor.size} were announced"
            )
        return entry


def images(archive: Archive, host: Platform, wanted: Platform | None) -> Plan:
    """The plan for an archive: Docker's `manifest.json` where there is one, else the OCI layout's index."""
    if "manifest.json" in archive:
        found = yield from _docker(archive, wanted)
        return (yield from _with_indexes(archive, found, host, wanted)) if "index.json" in archive else found
    if "index.json" in archive:
        return (yield from _layout(archive, host, wanted))
    raise InvalidArgument("invalid archive: does not contain a manifest.json")


def decode(document: bytes, kind: Any, what: str) -> Any:
    """JSON into a type; raises `InvalidArgument` naming what it was read from."""
    try:
        return msgspec.json.decode(document, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid {what}: {error}") from None


def _docker(archive: Archive, wanted: Platform | None) -> Plan:
    document = yield _small(archive.file("manifest.json"))
    items = decode(document, list[_Item], "manifest.json")
    if len(items) > MOST_IMAGES:
        raise InvalidArgument(f"invalid manifest.json: more than {MOST_IMAGES} images")
    manifests = (yield from _manifests(archive)) if "index.json" in archive else {}
    found = []
    for item in items:
        raw = yield _small(archive.file(item.config))
        image = config.parse(raw)
        if wanted is not None and not platforms.matches(wanted, image.platform):
            continue
        layers = tuple(archive.file(path) for path in item.layers or ())
        manifest = manifests.get(image.id)
        same = manifest and [each.digest for each in manifest[1].layers] == [entry.digest for entry in layers]
        found.append(
            _loadable(image, raw, layers, tuple(_tag(tag) for tag in item.repo_tags or ()), item.parent,
                      manifest[0] if manifest and same else None)
        )  # fmt: skip
    if items and not found and wanted is not None:
        raise NotFound(f"the archive has no image for platform {platforms.describe(wanted)}")
    return tuple(found)


def _with_indexes(archive: Archive, found: tuple[Loadable, ...], host: Platform, wanted: Platform | None) -> Plan:
    """What `manifest.json` cannot say: images of further platforms, and names that several have.

    Where the two disagree about a name, the index is right: whoever changed the archive since may not know the other.
    """
    document = yield _small(archive.file("index.json"))
    indexed: dict[str, Loadable] = {}
    for descriptor in decode(document, _Index, "index.json").manifests[:MOST_IMAGES]:
        for each in (yield from _of_index(archive, descriptor, host, wanted)):
            _merge(indexed, each)
    claimed = {tag for each in indexed.values() for tag in each.tags}
    merged: dict[str, Loadable] = {}
    for each in found:
        tags = tuple(tag for tag in each.tags if tag not in claimed or each.image.id in indexed)
        if tags or not each.tags:
            _merge(merged, msgspec.structs.replace(each, tags=tags))
    for each in indexed.values():
        _merge(merged, each)
    return tuple(merged.values())


def _of_index(
    archive: Archive, descriptor: _Descriptor, host: Platform, wanted: Platform | None
) -> Generator[Entry, bytes, list[Loadable]]:
    if not archive.has(descriptor):
        return []
    if descriptor.media_type in _INDEX_TYPES:
        return (yield from _family(archive, descriptor, host, wanted, DEEPEST_INDEX))
    if not (_annotated(descriptor) and _is_image(descriptor) and (yield from _is_whole(archive, descriptor))):
        return []
    one = yield from _manifest(archive, descriptor, None)
    return [one] if wanted is None or platforms.matches(wanted, one.image.platform) else []


def merged(loadables: Iterable[Loadable]) -> tuple[Loadable, ...]:
    """Each image once, with all its names."""
    found: dict[str, Loadable] = {}
    for each in loadables:
        _merge(found, each)
    return tuple(found.values())


def _merge(found: dict[str, Loadable], more: Loadable) -> None:
    known = found.get(more.image.id, more)
    index = known.index or (more.index if known.manifest == more.manifest else None)
    tags = tuple(dict.fromkeys(known.tags + more.tags))
    found[more.image.id] = msgspec.structs.replace(known, tags=tags, index=index)


def _manifests(archive: Archive) -> Generator[Entry, bytes, dict[str, tuple[Document, Manifest]]]:
    """The manifests an archive of both forms names, by the image's id; damaged ones stay out."""
    found: dict[str, tuple[Document, Manifest]] = {}
    document = yield _small(archive.file("index.json"))
    descriptors = decode(document, _Index, "index.json").manifests[:MOST_IMAGES]
    for descriptor in [each for each in descriptors if each.media_type in _INDEX_TYPES and archive.has(each)]:
        inner = decode((yield _small(archive.blob(descriptor))), _Index, f"index {descriptor.digest}").manifests
        descriptors += [each for each in inner[:MOST_IMAGES] if archive.has(each)]
    for descriptor in descriptors:
        if descriptor.media_type in _INDEX_TYPES:
            continue
        raw = yield _small(archive.blob(descriptor))
        manifest = decode(raw, Manifest, f"manifest {descriptor.digest}")
        found[manifest.config.digest] = (_document(descriptor, raw, manifest.media_type, _MANIFEST_TYPES), manifest)
    return found


def _document(descriptor: _Descriptor, raw: bytes, own: str, kinds: tuple[str, ...]) -> Document:
    """A manifest or index as it came; of what kind it is it says itself, else who names it."""
    kind = own or descriptor.media_type or kinds[0]
    if kind not in kinds:
        raise InvalidArgument(f"invalid archive: {descriptor.digest} has the unsupported media type {kind[:200]}")
    return Document(media_type=kind, digest=descriptor.digest, data=raw)


def _loadable(
    image: Image,
    raw: bytes,
    layers: tuple[Entry, ...],
    tags: tuple[Reference, ...],
    parent: str = "",
    manifest: Document | None = None,
) -> Loadable:
    if image.platform.os != "linux":
        raise InvalidArgument(f"cannot load {image.platform.os} image on linux")
    if len(layers) != len(image.diff_ids):
        raise InvalidArgument(
            f"invalid manifest, layers length mismatch: expected {len(image.diff_ids)}, got {len(layers)}"
        )
    return Loadable(image=image, config=raw, layers=layers, tags=tags, manifest=manifest, parent=parent)


def _tag(text: str) -> Reference:
    reference = parse(text)
    if not reference.tag or reference.digest:
        raise InvalidArgument(f'invalid tag "{text}"')
    return reference


def _layout(archive: Archive, host: Platform, wanted: Platform | None) -> Plan:
    document = yield _small(archive.file("index.json"))
    found: dict[str, Loadable] = {}
    descriptors = decode(document, _Index, "index.json").manifests
    if len(descriptors) > MOST_IMAGES:
        raise InvalidArgument(f"invalid index.json: more than {MOST_IMAGES} manifests")
    for descriptor in _of_platform(descriptors, host, wanted):
        family = yield from _family(archive, descriptor, host, wanted, DEEPEST_INDEX)
        if not family:
            raise NotFound(f"the archive has no image for platform {platforms.describe(wanted or host)}")
        for loadable in family:
            _merge(found, loadable)
    return tuple(found.values())


def _of_platform(descriptors: list[_Descriptor], host: Platform, wanted: Platform | None) -> list[_Descriptor]:
    """Of each name's manifests the one for the platform asked for, else all: a layout may hold a name several times."""
    named: dict[str, list[_Descriptor]] = {}
    for descriptor in descriptors:
        if not (descriptor.annotations or {}).get(_ATTESTATION):
            named.setdefault(_annotated(descriptor), []).append(descriptor)
    chosen: list[_Descriptor] = []
    for group in named.values():
        plain = all(each.platform is None or each.media_type in _INDEX_TYPES for each in group)
        chosen += group if plain or not wanted else [_pick(group, host, wanted)]
    return chosen


def _family(
    archive: Archive, descriptor: _Descriptor, host: Platform, wanted: Platform | None, depth: int
) -> Generator[Entry, bytes, list[Loadable]]:
    """The images a descriptor leads to: of an index the one for the platform asked for, else all that are there."""
    if descriptor.media_type not in _INDEX_TYPES:
        return [(yield from _manifest(archive, descriptor, wanted))]
    if not depth:
        raise InvalidArgument(f"invalid archive: indexes nested deeper than {DEEPEST_INDEX}")
    raw = yield _small(archive.blob(descriptor))
    index: _Index = decode(raw, _Index, f"index {descriptor.digest}")
    items, came = index.manifests[:MOST_IMAGES], _document(descriptor, raw, index.media_type, _INDEX_TYPES)
    if wanted or not (present := [each for each in items if archive.has(each) and _is_image(each)]):
        present = [_pick(items, host, wanted)]
    found: list[Loadable] = []
    for each in present:
        if len(present) == 1 or (yield from _is_whole(archive, each)):
            found += yield from _family(archive, each, host, wanted, depth - 1)
    tags = _annotated_tags(_annotated(descriptor))
    return [msgspec.structs.replace(each, tags=tags or each.tags, index=came) for each in found]


def _is_image(descriptor: _Descriptor) -> bool:
    """Whether it is no attestation, and not known to be for another system."""
    if (descriptor.annotations or {}).get(_ATTESTATION):
        return False
    return descriptor.platform is None or descriptor.platform.os in ("", "linux")


def _is_whole(archive: Archive, descriptor: _Descriptor) -> Generator[Entry, bytes, bool]:
    """Whether all of an image is there: of the platforms that were left out the manifest may be."""
    if descriptor.media_type in _INDEX_TYPES:
        return True
    manifest = decode((yield _small(archive.blob(descriptor))), Manifest, f"manifest {descriptor.digest}")
    return all(archive.has(each) for each in (manifest.config, *manifest.layers))


def _manifest(archive: Archive, descriptor: _Descriptor, wanted: Platform | None) -> Generator[Entry, bytes, Loadable]:
    name = _annotated(descriptor)
    raw = yield _small(archive.blob(descriptor))
    manifest = decode(raw, Manifest, f"manifest {descriptor.digest}")
    document = yield _small(archive.blob(manifest.config))
    image = config.parse(document)
    if wanted is not None and not platforms.matches(wanted, image.platform):
        raise NotFound(f"the archive has no image for platform {platforms.describe(wanted)}")
    layers = tuple(archive.blob(each) for each in manifest.layers)
    came = _document(descriptor, raw, manifest.media_type, _MANIFEST_TYPES)
    return _loadable(image, document, layers, _annotated_tags(name), manifest=came)


def _pick(descriptors: list[_Descriptor], host: Platform, wanted: Platform | None) -> _Descriptor:
    """The manifest for the platform asked for, else for this host, else the only one there is."""
    real = [each for each in descriptors if not (each.annotations or {}).get(_ATTESTATION)]
    pairs = [(_platform(each.platform), each) for each in real if each.platform]
    found = platforms.choose(wanted or host, pairs)
    if found is None and len(real) == 1 and wanted is None:
        return real[0]
    if found is None:
        raise NotFound(f"the archive has no image for platform {platforms.describe(wanted or host)}")
    return found


def _platform(raw: _Platform) -> Platform:
    return Platform(os=raw.os, architecture=raw.architecture, variant=raw.variant, os_version=raw.os_version)


def _annotated(descriptor: _Descriptor) -> str:
    """The name a layout gives an image: in full by containerd and Docker; by others only where it is a whole one."""
    annotations = descriptor.annotations or {}
    full, short = annotations.get(_NAME, ""), annotations.get(_TAG, "")
    return full or (short if ":" in short or "/" in short else "")


def _annotated_tags(name: str) -> tuple[Reference, ...]:
    return (parse(name).with_default_tag(),) if name else ()


def _small(entry: Entry) -> Entry:
    if entry.size > config.LONGEST:
        raise InvalidArgument(f"invalid archive: {entry.name[:200]!r} has {entry.size} bytes, at most {config.LONGEST}")
    return entry


def layer_digests(document: bytes) -> tuple[str, tuple[str, ...]]:
    """The digests of configuration and layers that a manifest names; raises `InvalidArgument`."""
    manifest = decode(document, Manifest, "manifest")
    return check_sha256(manifest.config.digest, "config"), tuple(
        check_sha256(each.digest, "layers") for each in manifest.layers
    )


def make_manifest(config_digest: str, config_size: int, layers: Iterable[Descriptor]) -> bytes:
    """The OCI manifest of an image that came without one; the same bytes for the same content."""
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": config_digest, "size": config_size},
            "layers": [{"mediaType": each.media_type, "digest": each.digest, "size": each.size} for each in layers],
        }
    )
