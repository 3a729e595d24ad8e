"""Which images a list or a prune is about (Docker's filters)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import Image
from shared.filters import Filters, boolean, check, labels_match, until
from shared.glob import Token, matches, parse
from shared.reference import Reference

from .catalog import Catalog

Patterns = Sequence[tuple[Token, ...]]

LIST = frozenset({"dangling", "label", "before", "since", "reference", "until"})
PRUNE = frozenset({"dangling", "label", "label!", "until"})


def select(catalog: Catalog, filters: Filters, everything: bool, now: int) -> tuple[Image, ...]:
    """The images of a list, newest first, with the names that matched. Raises as the filters' values demand."""
    check(filters, LIST)
    dangling = boolean(filters, "dangling")
    patterns = [parse(pattern) for pattern in filters.get("reference", ())]
    first = max((catalog.find(text).created_ns for text in filters.get("since", ())), default=-1)
    last = min((catalog.find(text).created_ns for text in filters.get("before", ())), default=-1)
    limit = until(filters, now)
    chosen = (
        _listed(image, _names(catalog, image, patterns))
        for image in catalog.images()
        if not catalog.stands_behind(image.id)
        and (last < 0 or image.created_ns < last)
        and (first < 0 or image.created_ns > first)
        and (not limit or image.created_ns < limit)
        and labels_match(image.config.labels, filters)
        and _by_names(catalog, image, patterns, dangling, everything)
    )
    return tuple(sorted(chosen, key=lambda image: (-image.created_ns, image.id)))


def _names(catalog: Catalog, image: Image, patterns: Patterns) -> list[Reference]:
    """The image's names that a pattern matches, with or without tag, all without patterns; none that mean another."""
    return [
        each
        for each in catalog.references(image.id)
        if catalog.holder(each) == image.id
        and (not patterns or any(matches(one, each.familiar) or matches(one, each.familiar_name) for one in patterns))
    ]


def _by_names(catalog: Catalog, image: Image, patterns: Patterns, dangling: bool | None, everything: bool) -> bool:
    names, parent = _names(catalog, image, patterns), bool(catalog.children(image.id))
    if dangling:
        return not parent and not any(each.tag for each in names)
    return bool(names) or (not patterns and dangling is None and (everything or not parent))


def _listed(image: Image, names: list[Reference]) -> Image:
    """A list shows of an image what a list shows: no history, of the configuration the labels."""
    return msgspec.structs.replace(
        image,
        repo_tags=tuple(each.familiar for each in names if not each.digest),
        repo_digests=tuple(each.familiar for each in names if each.digest),
        history=(),
        diff_ids=(),
        config=ContainerConfig(labels=image.config.labels),
    )


def listed(catalog: Catalog, image_ids: Iterable[str]) -> dict[str, bool] | None:
    """Whether a list without any filter shows these images; None where one has a name that means another, too."""
    shown = {}
    for image_id in image_ids:
        if any(catalog.holder(each) != image_id for each in catalog.references(image_id)):
            return None
        if image_id in catalog:
            shown[image_id] = _by_names(catalog, catalog.image(image_id), (), None, everything=False)
        elif image_id:
            shown[image_id] = False
    return shown


def shared_sizes(catalog: Catalog, images: Iterable[Image], sizes: Mapping[str, int]) -> dict[str, int]:
    """Of each of the images the bytes in layers that another one of them has as well."""
    chains = {image.id: catalog.stored(image.id).chains for image in images}
    users = Counter(chain_id for each in chains.values() for chain_id in each)
    return {
        image_id: sum(sizes.get(chain_id, 0) for chain_id in each if users[chain_id] > 1)
        for image_id, each in chains.items()
    }


def prunable(catalog: Catalog, filters: Filters, now: int) -> tuple[Image, ...]:
    """The images a prune looks at: those without a tag, or all when `dangling` is false."""
    check(filters, PRUNE)
    dangling = boolean(filters, "dangling") is not False
    limit = until(filters, now)
    return tuple(
        image
        for image in catalog.images()
        if not (not catalog.references(image.id) and catalog.children(image.id))
        and not (dangling and (image.repo_tags or catalog.children(image.id)))
        and (not limit or image.created_ns <= limit)
        and labels_match(image.config.labels, filters)
    )
