"""Which image a build step made before (Docker's image cache): a child of the same parent by the same instruction."""

from __future__ import annotations

from collections.abc import Iterable

from shared.contracts.image_store import ChildRequest, HistoryEntry, Image
from shared.errors import InvalidArgument

from . import platform as platforms
from .catalog import Catalog


def child(catalog: Catalog, request: ChildRequest) -> Image | None:
    """The newest one; with `cache_from` only one that leads to an image of these."""
    found = [stored.image for stored in catalog.all() if _made_so(stored.image, request)]
    if request.cache_from:
        kept = {each for source in request.cache_from for each in _ancestry(catalog, source)}
        found = [image for image in found if image.id in kept]
    return max(found, key=lambda image: image.created_ns, default=None)


def _made_so(image: Image, request: ChildRequest) -> bool:
    if request.platform and platforms.normalise(image.platform) != platforms.normalise(request.platform):
        return False
    return image.parent == request.parent and bool(image.history) and image.history[-1].created_by == request.created_by


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
