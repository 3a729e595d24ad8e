"""Which image a build step made before (Docker's image cache): a child of the same parent by the same instruction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shared.contracts.image_store import ChildRequest, HistoryEntry, Image
from shared.errors import InvalidArgument

from . import platform as platforms
from .catalog import Catalog

MOST_TOLD = 128 << 10
"""Bytes of images that are told without being asked for: an image's configuration may be long."""


def child(catalog: Catalog, request: ChildRequest) -> Image | None:
    """The newest one; with `cache_from` only one that leads to an image of these."""
    found = [image for image in _children(catalog, request.parent) if _made_so(image, request)]
    if request.cache_from:
        kept = {each for source in request.cache_from for each in _ancestry(catalog, source)}
        found = [image for image in found if image.id in kept]
    return max(found, key=lambda image: image.created_ns, default=None)


def _made_so(image: Image, request: ChildRequest) -> bool:
    if request.platform and platforms.normalise(image.platform) != platforms.normalise(request.platform):
        return False
    return image.parent == request.parent and bool(image.history) and image.history[-1].created_by == request.created_by


def following(catalog: Catalog, image: Image) -> tuple[Image, ...]:
    """The newest of its children, the newest of that one's, and so on."""
    found: list[Image] = []
    size = 0
    while children := [each for each in _children(catalog, image.id) if each.history]:
        image = max(children, key=lambda child: child.created_ns)
        size += len(msgspec.msgpack.encode(image))
        if size > MOST_TOLD:
            break
        found.append(image)
    return tuple(found)


def _children(catalog: Catalog, parent: str) -> Iterable[Image]:
    if parent:
        return (catalog.stored(each).image for each in catalog.children(parent))
    return (stored.image for stored in catalog.all())


def _ancestry(catalog: Catalog, image_id: str) -> Iterable[str]:
    while image_id and image_id in catalog:
        yield image_id
        image_id = catalog.stored(image_id).image.parent


def origin(catalog: Catalog, request: ChildRequest) -> str:
    """An image of `cache_from` whose history goes on from the parent's by this instruction; "" for none.

    It is for the parent's platform, or on nothing for the one asked for.
    """
    parent = catalog.stored(request.parent).image if request.parent in catalog else None
    before, platform = parent or Image(id=""), request.platform or (parent.platform if parent else None)
    length = len(before.history)
    for source in request.cache_from:
        if source not in catalog:
            continue
        image = catalog.stored(source).image
        if platform and platforms.normalise(image.platform) != platforms.normalise(platform):
            continue
        goes_on = image.history[:length] == before.history and image.diff_ids[: len(before.diff_ids)] == before.diff_ids
        if goes_on and len(image.history) > length and image.history[length].created_by == request.created_by:
            return source
    return ""


def next_step(parent: Image | None, origin: Image) -> tuple[HistoryEntry, int]:
    """What an image has next in its history after its parent's, and the number of its layer, or -1.

    Raises `InvalidArgument` for an image that does not go on from there.
    """
    before = parent or Image(id="")
    length = len(before.history)
    if origin.history[:length] != before.history or len(origin.history) == length:
        raise InvalidArgument(f"origin: the history of {origin.id} does not go on from that of the parent")
    entry = origin.history[length]
    number = sum(not each.empty_layer for each in before.history)
    if entry.empty_layer:
        return entry, -1
    if number != len(before.diff_ids) or origin.diff_ids[:number] != before.diff_ids or number >= len(origin.diff_ids):
        raise InvalidArgument(f"origin: the layers of {origin.id} do not go on from those of the parent")
    return entry, number
