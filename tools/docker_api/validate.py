"""Whether a JSON value is what a schema says: types, required and unknown members, enums, ranges, formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .swagger import Api, Schema

_RANGES = {
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint64": (0, (1 << 64) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint16": (0, (1 << 16) - 1),
    "uint8": (0, (1 << 8) - 1),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z")
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(frozen=True)
class Problem:
    """One place that is not as the schema has it. `path` names members; list items are `[]`, map values `{}`."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def problems(api: Api, schema: Schema, value: object, path: str = "$") -> Iterator[Problem]:
    """All of them, in the order of the value."""
    schema = api.resolve(schema)
    kind = schema.get("type") or ("object" if "properties" in schema else "")
    if value is None:
        if kind and not schema.get("x-nullable"):
            yield Problem(path, f"null instead of {kind}")
        return
    if kind and not _is(kind, value):
        yield Problem(path, f"{type(value).__name__} instead of {kind}")
    elif isinstance(value, dict):
        yield from _object(api, schema, value, path)
    elif isinstance(value, list):
        yield from _array(api, schema, value, path)
    else:
        yield from _scalar(schema, value, path)


def _is(kind: str, value: object) -> bool:
    return isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _object(api: Api, schema: Schema, value: dict[str, Any], path: str) -> Iterator[Problem]:
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in value:
            yield Problem(f"{path}.{name}", "is missing")
    for name, item in value.items():
        if name in properties:
            yield from problems(api, properties[name], item, f"{path}.{name}")
        elif isinstance(more, dict):
            yield from problems(api, more, item, f"{path}{{}}")
        elif properties:
            yield Problem(f"{path}.{name}", "is not in the schema")


def _array(api: Api, schema: Schema, value: list[Any], path: str) -> Iterator[Problem]:
    for bound, wrong in (("minItems", len(value).__lt__), ("maxItems", len(value).__gt__)):
        if bound in schema and wrong(schema[bound]):
            yield Problem(path, f"{len(value)} items, {bound} is {schema[bound]}")
    for item in value:
        yield from problems(api, schema.get("items", {}), item, f"{path}[]")


def _scalar(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    if "enum" in schema and value not in schema["enum"]:
        yield Problem(path, f"{value!r} is none of {schema['enum']}")
    format = schema.get("format", "")
    if format in ("dateTime", "date-time") and not _is_time(value):
        yield Problem(path, f"{value!r} is no RFC 3339 time")
    low, high = _RANGES.get(format, (schema.get("minimum"), schema.get("maximum")))
    if isinstance(value, int | float) and ((low is not None and value < low) or (high is not None and value > high)):
        yield Problem(path, f"{value} is out of range")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield Problem(path, f"{value!r} does not match {schema['pattern']}")


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
