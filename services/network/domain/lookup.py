"""Finding networks: by reference, by Docker's filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from shared.contracts.network import Network, NetworkSpec
from shared.errors import InvalidArgument, NotFound

from .networks import PREDEFINED

LIST_FILTERS = ("name", "id", "driver", "scope", "type", "label", "dangling")
PRUNE_FILTERS = ("label", "label!", "until")
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def find(reference: str, specs: Iterable[NetworkSpec]) -> NetworkSpec:
    """By full id, then name, then unique begin of the id, as dockerd looks. Raises `NotFound`, `InvalidArgument`."""
    specs = tuple(specs)
    for matches in (
        [spec for spec in specs if spec.id == reference],
        [spec for spec in specs if spec.name == reference],
    ):
        if matches:
            return matches[0]
    begins = [spec for spec in specs if reference and spec.id.startswith(reference)]
    if len(begins) > 1:
        raise InvalidArgument(f"network {reference} is ambiguous ({len(begins)} matches found based on ID prefix)")
    if not begins:
        raise NotFound(f"network {reference} not found")
    return begins[0]


def check_filters(filters: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
    """Refuses filters and values that dockerd refuses, in its words."""
    for name in filters:
        if name not in known:
            raise InvalidArgument(f"invalid filter '{name}'")
    for value in filters.get("type", ()):
        if value not in ("builtin", "custom"):
            raise InvalidArgument(f"invalid filter: 'type'='{value}'")
    dangling = filters.get("dangling", ())
    if len(dangling) > 1:
        raise InvalidArgument('got more than one value for filter key "dangling"')
    if dangling and dangling[0] not in (*_TRUE, *_FALSE):
        raise InvalidArgument('invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")')


def matches(network: Network, filters: Mapping[str, Sequence[str]]) -> bool:
    """All filters must match; of several values of one filter any (of labels: all)."""
    spec = network.spec
    tests: dict[str, Callable[[str], bool]] = {
        "name": lambda value: pattern_matches(value, spec.name),
        "id": lambda value: pattern_matches(value, spec.id),
        "driver": lambda value: spec.driver == value,
        "scope": lambda value: spec.scope == value,
        "type": lambda value: (value == "builtin") == (spec.name in PREDEFINED),
        "dangling": lambda value: (value in _TRUE) == _dangling(network),
    }
    rest = ((tests[name], values) for name, values in filters.items() if values and name in tests)
    return all(any(test(value) for value in values) for test, values in rest) and labels_match(spec.labels, filters)


def pattern_matches(pattern: str, text: str) -> bool:
    """Docker's filters are patterns found anywhere: here `^`, `$` and `.*`, all else literal, in linear time."""
    if pattern == text:
        return True
    begin, end = pattern.startswith("^"), pattern.endswith("$")
    pieces = pattern.removeprefix("^").removesuffix("$").split(".*")
    if begin and not text.startswith(pieces[0]):
        return False
    at = 0
    for piece in pieces[:-1] if end else pieces:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return not end or (text.endswith(pieces[-1]) and len(text) - len(pieces[-1]) >= at)


def _dangling(network: Network) -> bool:
    return network.spec.name not in PREDEFINED and not network.endpoints


def labels_match(labels: Mapping[str, str], filters: Mapping[str, Sequence[str]]) -> bool:
    """`label`: all must be there; `label!`: none may."""
    wanted = all(_has(labels, value) for value in filters.get("label", ()))
    return wanted and not any(_has(labels, value) for value in filters.get("label!", ()))


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, separator, value = wanted.partition("=")
    return key in labels and (not separator or labels[key] == value)


def prunable(spec: NetworkSpec, filters: Mapping[str, Sequence[str]], until: int) -> bool:
    """Whether an unused network goes: never a predefined one; `until`: made before then (ns), 0: any time."""
    return (
        spec.name not in PREDEFINED
        and spec.driver != "null"
        and (not until or spec.created < until)
        and labels_match(spec.labels, filters)
    )


_UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}


def until(filters: Mapping[str, Sequence[str]], now: int) -> int:
    """The filter `until` as nanoseconds since the epoch, 0 without: a duration before now, Unix or RFC 3339 time."""
    values = filters.get("until", ())
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    if not values:
        return 0
    text = values[0]
    parts = re.findall(r"(\d{1,12}(?:\.\d{1,9})?)(ms|h|m|s)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now - sum(int(float(number) * _UNITS[unit]) for number, unit in parts)
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text):
        return int(float(text) * _UNITS["s"])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"invalid value for filter 'until': {text!r} is not a time") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000) * 1000
