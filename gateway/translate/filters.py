"""Docker's filters: the two JSON forms, and what matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from shared.errors import InvalidArgument
from shared.patterns import found

Filters = dict[str, tuple[str, ...]]


def parse(text: str, accepted: Sequence[str] | frozenset[str] | None = None) -> Filters:
    """`{"label": ["a=b"]}` or `{"label": {"a=b": true}}`; an unknown name is refused when `accepted` is given."""
    if not text:
        return {}
    try:
        data = msgspec.json.decode(text.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        raise InvalidArgument("invalid filter") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidArgument("invalid filter")
    filters = {name: _values(values) for name, values in data.items()}
    if accepted is not None:
        check(filters, accepted)
    return filters


def _values(values: object) -> tuple[str, ...]:
    if isinstance(values, dict):
        if all(isinstance(flag, bool) for flag in values.values()):
            return tuple(dict.fromkeys(values))
    elif isinstance(values, list) and all(isinstance(value, str) for value in values):
        return tuple(dict.fromkeys(values))
    elif values is None:
        return ()
    raise InvalidArgument("invalid filter")


def check(filters: Filters, accepted: Sequence[str] | frozenset[str]) -> None:
    """Refuses a filter that is not among the accepted ones."""
    for name in filters:
        if name not in accepted:
            raise InvalidArgument(f"invalid filter '{name}'")


def exact(filters: Filters, name: str, value: str) -> bool:
    """True when the filter is absent or one of its values is this."""
    wanted = filters.get(name)
    return not wanted or value in wanted


def prefix(filters: Filters, name: str, value: str) -> bool:
    """As `exact`, or one of the values begins this."""
    return exact(filters, name, value) or any(value.startswith(wanted) for wanted in filters[name])


def match(filters: Filters, name: str, value: str) -> bool:
    """As `exact`, or one of the values, taken as a regular expression, is found in this."""
    return exact(filters, name, value) or any(found(wanted, value) for wanted in filters[name])


def labels(filters: Filters, present: Mapping[str, str], name: str = "label") -> bool:
    """Every wanted `key` or `key=value` is among the labels."""
    for wanted in filters.get(name, ()):
        key, equals, value = wanted.partition("=")
        if key not in present or (equals and present[key] != value):
            return False
    return True


def not_labels(filters: Filters, present: Mapping[str, str]) -> bool:
    """No `label!` is among the labels."""
    return not any(labels({"label": (wanted,)}, present) for wanted in filters.get("label!", ()))


def boolean(filters: Filters, name: str, default: bool) -> bool:
    """A filter that is `true`, `false`, `1` or `0`; raises `InvalidArgument` for anything else."""
    values = filters.get(name)
    if values is None:
        return default
    true, false = {"1", "true"} & set(values), {"0", "false"} & set(values)
    if bool(true) == bool(false):
        raise InvalidArgument(f"invalid filter '{name}=[{' '.join(values)}]'")
    return bool(true)
