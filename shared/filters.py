"""Docker's list and prune filters: what several nouns have in common."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from shared.errors import InvalidArgument

Filters = Mapping[str, Sequence[str]]
_TRUE, _FALSE = {"1", "true", "True", "TRUE", "t", "T"}, {"0", "false", "False", "FALSE", "f", "F"}
_SECOND = 1_000_000_000
_UNITS = {"h": 3600 * _SECOND, "m": 60 * _SECOND, "s": _SECOND, "ms": _SECOND // 1000}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)")


def check(filters: Filters, known: Collection[str]) -> None:
    """Raises `InvalidArgument` naming the first filter there is no such of."""
    for name in filters:
        if name not in known:
            raise InvalidArgument(f"invalid filter '{name}'")


def boolean(filters: Filters, name: str) -> bool | None:
    """A filter that is true or false, None without it; `InvalidArgument` where it is neither, or both."""
    values = filters.get(name, ())
    if not values:
        return None
    true, false = not _TRUE.isdisjoint(values), not _FALSE.isdisjoint(values)
    if true != false:
        return true
    raise InvalidArgument(f"invalid filter '{name}=[{' '.join(values)}]'")


def labels_match(labels: Mapping[str, str], filters: Filters) -> bool:
    """`label`: all must be there; `label!`: none may. A value is a key, or a key, `=` and the label's value."""
    wanted = all(_has(labels, value) for value in filters.get("label", ()))
    return wanted and not any(_has(labels, value) for value in filters.get("label!", ()))


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, separator, value = wanted.partition("=")
    return key in labels and (not separator or labels[key] == value)


def any_matches(filters: Filters, name: str, text: str) -> bool:
    """Whether the filter is not given, or one of its patterns is found in the text."""
    values = filters.get(name, ())
    return not values or any(pattern_matches(value, text) for value in values)


def pattern_matches(pattern: str, text: str) -> bool:
    """Docker's patterns are found anywhere: here `^`, `$` and `.*`, all else literal, so that it takes linear time."""
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
    if begin and end and len(pieces) == 1:
        return text == pieces[0]
    return not end or (text.endswith(pieces[-1]) and len(text) - len(pieces[-1]) >= at)


def until(filters: Filters, now: int) -> int:
    """The filter `until` as nanoseconds since the epoch, 0 without: a duration before now, Unix or RFC 3339 time."""
    values = filters.get("until", ())
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    return max(_moment(values[0], now), 1) if values else 0


def _moment(text: str, now: int) -> int:
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now - sum(round(float(number) * _UNITS[unit]) for number, unit in parts)
    if re.fullmatch(r"\d{1,10}(\.\d{1,9})?", text):
        return round(float(text) * _SECOND)
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError):
        raise InvalidArgument(f"invalid value for filter 'until': {text!r} is not a time") from None
