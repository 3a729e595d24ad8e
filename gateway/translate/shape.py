"""Mechanical translation between a contract's struct and Docker's JSON object, both ways.

A `Shape` is made once for each kind of struct from its fields and types. What Docker does irregularly is said
where the shape is made: which empty fields it leaves out or shows as null, and which fields need a function.
Field names in requests match without regard to case, as Go's decoder has it; null means not given.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from shared.errors import InvalidArgument

from .names import docker_name

S = TypeVar("S", bound=msgspec.Struct)
Convert = Callable[[Any], Any]
_INT64 = 1 << 63
_NEVER, _EMPTY, _POINTER = range(3)


def _same(value: Any) -> Any:
    return value


class Shape(Generic[S]):
    """Translation of one kind of struct.

    `omit`: left out when empty (a number or flag that may be None: when None). `null`: shown as null when empty,
    as None always is. `names`: spellings that differ from the
    table's. `outward`, `inward`: functions for single fields. `label` is what error texts call the object.
    """

    def __init__(
        self,
        kind: type[S],
        label: str,
        omit: str = "",
        null: str = "",
        names: Mapping[str, str] | None = None,
        outward: Mapping[str, Convert] | None = None,
        inward: Mapping[str, Convert] | None = None,
        shapes: Mapping[type, Shape[Any]] | None = None,
    ) -> None:
        self.kind, self.label = kind, label
        names, outward, inward = names or {}, outward or {}, inward or {}
        self._shapes = shapes or {}
        hints = get_type_hints(kind)
        omitted, nulled = frozenset(omit.split()), frozenset(null.split())
        self._out: list[tuple[str, str, Convert | None, int, bool]] = []
        self._in: dict[str, tuple[str, Convert]] = {}
        self._names: dict[str, str] = {}
        for field in msgspec.structs.fields(kind):
            name = names.get(field.name) or docker_name(field.name)
            out = outward.get(field.name) or self._outward(hints[field.name])
            rule = _NEVER if field.name not in omitted else _POINTER if _pointer(hints[field.name]) else _EMPTY
            self._out.append((field.name, name, out, rule, field.name in nulled))
            into = inward.get(field.name) or self._inward(hints[field.name], f"{label}.{name}")
            self._in[name.lower()] = (field.name, into)
            self._names[field.name] = name
        unknown = (omitted | nulled | names.keys() | outward.keys() | inward.keys()) - self._names.keys()
        if unknown:
            raise TypeError(f"{kind.__name__} has no fields {sorted(unknown)}")

    def knows(self, name: str) -> bool:
        """Whether a member of Docker's object, whatever the case of its name, becomes a field."""
        return name.lower() in self._in

    def dump(self, value: S) -> dict[str, Any]:
        """Docker's object for a struct, ready to be encoded."""
        result: dict[str, Any] = {}
        for attribute, name, convert, omit, null in self._out:
            item = getattr(value, attribute)
            if not item:
                if omit and (item is None or omit != _POINTER):
                    continue
                if null:
                    item = None
            if convert is not None and item is not None:
                item = convert(item)
            result[name] = item
        return result

    def load(self, data: object) -> S:
        """The struct for Docker's object; raises `InvalidArgument` naming the field."""
        try:
            return msgspec.convert(self.fields(data), self.kind)
        except msgspec.ValidationError as error:
            raise InvalidArgument(f"invalid JSON: {self._explain(str(error))}") from None

    def fields(self, data: object) -> Any:
        """Docker's object with the contract's names; what is not an object comes back as it is."""
        if not isinstance(data, dict):
            return data
        result: dict[str, Any] = {}
        for key, value in data.items():
            found = self._in.get(key.lower())
            if found is not None and value is not None:
                attribute, convert = found
                result[attribute] = convert(value)
        return result

    def _explain(self, text: str) -> str:
        message, _, path = text.partition(" - at `$")
        field = "".join(self._spelled(part) for part in re.split(r"\.(?=\w)", path.rstrip("`")))
        return f"{self.label}{field}: {message}"

    def _spelled(self, part: str) -> str:
        if not part:
            return ""
        name, bracket, rest = part.partition("[")
        return f".{self._names.get(name) or docker_name(name)}{bracket}{rest}"

    def _outward(self, hint: Any) -> Convert | None:
        """None: the encoder takes the value as it is."""
        origin, args = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self._outward(_without_none(hint))
        if origin is tuple and args[-1] is Ellipsis:
            return _each(self._outward(args[0]))
        if origin is dict:
            return _each_value(self._outward(args[1]))
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return self._shape(hint).dump
        return None

    def _inward(self, hint: Any, label: str) -> Convert:
        origin, args = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self._inward(_without_none(hint), label)
        if origin is tuple and args[-1] is Ellipsis:
            inner = self._inward(args[0], label)
            return lambda items: [inner(item) for item in items] if isinstance(items, list) else items
        if origin is dict:
            inner = self._inward(args[1], label)
            keep = _nullable(args[1])
            return lambda items: _load_map(items, inner, keep)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return self._shape(hint).fields
        return (lambda value: _int64(value, label)) if hint is int else _same

    def _shape(self, kind: type[msgspec.Struct]) -> Shape[Any]:
        found = self._shapes.get(kind)
        return found if found is not None else Shape(kind, kind.__name__, shapes=self._shapes)


def _each(inner: Convert | None) -> Convert | None:
    return None if inner is None else lambda items: [inner(item) for item in items]


def _each_value(inner: Convert | None) -> Convert | None:
    if inner is None:
        return None
    return lambda items: {key: None if item is None else inner(item) for key, item in items.items()}


def _load_map(items: object, inner: Convert, keep_null: bool) -> object:
    if not isinstance(items, dict):
        return items
    return {
        key: inner(item) if item is not None else None for key, item in items.items() if keep_null or item is not None
    }


def _int64(value: object, label: str) -> object:
    if isinstance(value, int | float) and not -_INT64 <= value < _INT64:
        raise InvalidArgument(f"invalid JSON: {label}: number {value} is out of range")
    return value


def _pointer(hint: Any) -> bool:
    """A number or flag that may be absent: Go's `*bool`, `*int`."""
    return _nullable(hint) and _without_none(hint) in (bool, int)


def _nullable(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def _without_none(hint: Any) -> Any:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 else Any
