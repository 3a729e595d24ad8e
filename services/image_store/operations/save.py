"""`docker save`: images as one archive that any engine loads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from shared.archive.tar import BLOCK, padded
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import SaveRequest
from shared.errors import NotFound
from shared.reference import Identifier, Reference, parse_any

from ..domain import bundle, config
from ..domain import platform as platforms
from ..domain.archive import Manifest, decode
from ..domain.bundle import Saved
from ..domain.catalog import Catalog
from .images import Images

CHUNK = 1 << 20
Write = Callable[[bytes], Awaitable[None]]


def named(catalog: Catalog, names: Iterable[str], platform: Platform | None) -> dict[str, list[Reference]]:
    """Image ids with the tags to save them under; a repository alone stands for all its tags. Raises `NotFound`.

    Of the images that have a tag all, or the one for the platform.
    """
    wanted = platforms.check(platform) if platform else None
    found: dict[str, list[Reference]] = {}
    for name in names:
        for image_id, reference in _named(catalog, name, wanted):
            tags = found.setdefault(image_id, [])
            if reference is not None and not reference.digest and reference not in tags:
                tags.append(reference)
    return found


def _named(catalog: Catalog, name: str, wanted: Platform | None) -> list[tuple[str, Reference | None]]:
    parsed = parse_any(name)
    if isinstance(parsed, Identifier):
        return [(catalog.find(name).id, None)]
    if parsed.tag or parsed.digest:
        if not catalog.holder(parsed):
            raise NotFound("reference does not exist")
        return [(image_id, parsed) for image_id in _members(catalog, parsed, wanted)]
    names = [reference for reference, _ in catalog.of_repository(parsed.name)]
    if names:
        return [(image_id, reference) for reference in names for image_id in _members(catalog, reference, wanted)]
    image_id = catalog.by_prefix(name)
    if not image_id:
        raise NotFound(f"No such image: {name}")
    return [(image_id, None)]


def _members(catalog: Catalog, reference: Reference, wanted: Platform | None) -> tuple[str, ...]:
    members = catalog.members(reference)
    if wanted is None:
        return members
    return (catalog.member(reference, wanted) or members[0],)


def chosen(images: Images, request: SaveRequest) -> tuple[Saved, ...]:
    """What is to be saved, of each platform asked for; raises `NotFound` for one that is not there."""
    found: dict[str, Saved] = {}
    for platform in request.platforms or (request.platform,):
        for each in describe(images, named(images.catalog, request.references, platform), platform):
            known = found.get(each.image_id, each)
            tags = tuple(dict.fromkeys(known.tags + each.tags))
            found[each.image_id] = msgspec.structs.replace(known, tags=tags)
    return tuple(found.values())


def describe(images: Images, chosen: dict[str, list[Reference]], platform: Platform | None) -> tuple[Saved, ...]:
    """What is to be saved of each image. Raises `NotFound` for one of another platform than asked for."""
    wanted = platforms.check(platform) if platform else None
    return tuple(_describe(images, image_id, tuple(tags), wanted) for image_id, tags in chosen.items())


def _describe(images: Images, image_id: str, tags: tuple[Reference, ...], wanted: Platform | None) -> Saved:
    stored = images.catalog.stored(image_id)
    image = stored.image
    if wanted is not None and not platforms.matches(wanted, image.platform):
        raise NotFound(
            f"image {image_id} is for {platforms.describe(image.platform)}, not for {platforms.describe(wanted)}"
        )
    document = images.content.read(stored.manifest.digest, config.LONGEST)
    manifest: Manifest = decode(document, Manifest, "manifest")
    return Saved(
        image_id=image_id,
        config_size=manifest.config.size,
        manifest=stored.manifest,
        platform=image.platform,
        layers=tuple(
            Descriptor(media_type=each.media_type, digest=each.digest, size=each.size) for each in manifest.layers
        ),
        diff_ids=image.diff_ids,
        tags=tags,
        parent=image.parent,
        index=images.index(stored),
    )


async def save(images: Images, saved: tuple[Saved, ...], write: Write) -> None:
    """Writes the archive, the same bytes for the same images and names; their blobs stay until it is done."""
    async with images.lease() as lease:
        blobs = {blob.digest: blob.size for image in saved for blob in image.blobs()}
        lease.blobs.update(blobs)
        made = bundle.indexes(saved)
        await write(bundle.tar_header("blobs/", 0, True) + bundle.tar_header("blobs/sha256/", 0, True))
        for digest in sorted(blobs | made):
            if digest in made:
                await _document(bundle.blob_name(digest), made[digest], write)
            else:
                await _blob(images.content.path(digest), bundle.blob_name(digest), blobs[digest], write)
        for name, document in (
            ("index.json", bundle.index(saved)),
            ("manifest.json", bundle.manifest(saved)),
            ("oci-layout", bundle.LAYOUT),
            ("repositories", bundle.repositories(saved)),
        ):
            if document:
                await _document(name, document, write)
        await write(bytes(2 * BLOCK))
    for image in saved:
        images.tell("save", image.image_id, images.labels(image.image_id))


async def _document(name: str, data: bytes, write: Write) -> None:
    await write(bundle.tar_header(name, len(data)) + data.ljust(padded(len(data)), b"\0"))


async def _blob(path: Path, name: str, size: int, write: Write) -> None:
    await write(bundle.tar_header(name, size))
    with open(path, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            await write(chunk)
    await write(bytes(padded(size) - size))
