"""Which images a list or a prune is about (Docker's filters)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import Image
from shared.errors import InvalidArgument

from .catalog import Catalog
from .moments import moment
from .reference import Reference

Filters = Mapping[str, tuple[str, ...]]
LIST = frozenset({"dangling", "label", "before", "since", "reference", "until"})
PRUNE = frozenset({"dangling", "label", "label!", "until"})
_TRUE, _FALSE = {"1", "true", "True", "TRUE", "t", "T"}, {"0", "false", "False", "FALSE", "f", "F"}


def check(filters: Filters, known: frozenset[str]) -> None:
    """Raises `InvalidArgument` naming the first filter there is no such of."""
    for name in filters:
        if name not in known:
            raise InvalidArgument(f"invalid filter '{name}'")


def boolean(filters: Filters, name: str, default: bool | None) -> bool | None:
    """A filter that is true or false; `InvalidArgument` for anything else."""
    values = filters.get(name, ())
    if not values:
        return default
    if all(value in _TRUE for value in values):
        return True
    if all(value in _FALSE for value in values):
        return False
    raise InvalidArgument(f"invalid filter '{name}=[{' '.join(values)}]'")


def has_labels(labels: Mapping[str, str], wanted: Iterable[str]) -> bool:
    """Whether all of `key` and `key=value` are there."""
    for each in wanted:
        key, equals, value = each.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def until(filters: Filters, now: int) -> int:
    """The moment before which images must have been created, 0 without such a filter."""
    values = filters.get("until", ())
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    return moment(values[0], now) if values else 0


def select(catalog: Catalog, filters: Filters, everything: bool, now: int) -> tuple[Image, ...]:
    """The images of a list, newest first, with the names that matched. Raises as the filters' values demand."""
    check(filters, LIST)
    dangling = boolean(filters, "dangling", None)
    first = max((catalog.find(text).created_ns for text in filters.get("since", ())), default=-1)
    last = min((catalog.find(text).created_ns for text in filters.get("before", ())), default=-1)
    limit = until(filters, now)
    chosen = (
        _matching(catalog, image, filters.get("reference", ()))
        for image in catalog.images()
        if (last < 0 or image.created_ns < last)
        and (first < 0 or image.created_ns > first)
        and (not limit or image.created_ns < limit)
        and has_labels(image.config.labels, filters.get("label", ()))
        and _by_names(catalog, image, filters, dangling, everything)
    )
    return tuple(sorted(chosen, key=lambda image: (-image.created_ns, image.id)))


def _by_names(catalog: Catalog, image: Image, filters: Filters, dangling: bool | None, everything: bool) -> bool:
    patterns = filters.get("reference", ())
    names = catalog.references(image.id)
    if patterns:
        names = tuple(each for each in names if matches_any(patterns, each))
    parent = bool(catalog.children(image.id))
    if dangling:
        return not parent and not any(each.tag for each in names)
    if names:
        return True
    return not patterns and dangling is None and (everything or not parent)


def _matching(catalog: Catalog, image: Image, patterns: tuple[str, ...]) -> Image:
    """A list shows of an image what a list shows: no history, of the configuration the labels."""
    tags, digests = image.repo_tags, image.repo_digests
    if patterns:
        names = [each for each in catalog.references(image.id) if matches_any(patterns, each)]
        tags = tuple(each.familiar for each in names if not each.digest)
        digests = tuple(each.familiar for each in names if each.digest)
    return msgspec.structs.replace(
        image,
        repo_tags=tags,
        repo_digests=digests,
        history=(),
        diff_ids=(),
        config=ContainerConfig(labels=image.config.labels),
    )


def matches_any(patterns: Iterable[str], reference: Reference) -> bool:
    """Whether a pattern matches the familiar name, with or without what follows it."""
    return any(regex.match(reference.familiar) or regex.match(reference.familiar_name) for regex in map(glob, patterns))


def glob(pattern: str) -> re.Pattern[str]:
    r"""Go's `path.Match`: `*` and `?` stop at slashes, `[a-z]` classes, `\\` escapes. Raises `InvalidArgument`."""
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "[":
            piece, at = _class(pattern, at)
            out += piece
        elif char == "\\":
            if at == len(pattern):
                raise InvalidArgument("syntax error in pattern")
            out, at = out + re.escape(pattern[at]), at + 1
        else:
            out += re.escape(char)
    return re.compile(out + r"\Z", re.DOTALL)


def _class(pattern: str, at: int) -> tuple[str, int]:
    end = pattern.find("]", at + (pattern[at : at + 1] == "^") + 1)
    inside = pattern[at:end]
    if end < 0 or not inside.strip("^"):
        raise InvalidArgument("syntax error in pattern")
    negated = inside.startswith("^")
    body = inside[negated:].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^").replace("&", "\\&")
    try:
        re.compile(f"[{body}]")
    except re.error:
        raise InvalidArgument("syntax error in pattern") from None
    return f"[{'^/' if negated else ''}{body}]", end + 1


def shared_sizes(catalog: Catalog, sizes: Mapping[str, int]) -> dict[str, int]:
    """Of each image the bytes in layers that another image has as well."""
    users: dict[str, int] = {}
    for stored in catalog.all():
        for chain_id in stored.chains:
            users[chain_id] = users.get(chain_id, 0) + 1
    return {
        stored.image.id: sum(sizes.get(chain_id, 0) for chain_id in stored.chains if users[chain_id] > 1)
        for stored in catalog.all()
    }


def prunable(catalog: Catalog, filters: Filters, now: int) -> tuple[Image, ...]:
    """The images a prune looks at: those without a tag, or all when `dangling` is false."""
    check(filters, PRUNE)
    dangling = boolean(filters, "dangling", True)
    limit = until(filters, now)
    unwanted = filters.get("label!", ())
    return tuple(
        image
        for image in catalog.images()
        if not (not catalog.references(image.id) and catalog.children(image.id))
        and not (dangling and (image.repo_tags or catalog.children(image.id)))
        and (not limit or image.created_ns <= limit)
        and has_labels(image.config.labels, filters.get("label", ()))
        and not (unwanted and has_labels(image.config.labels, unwanted))
    )
