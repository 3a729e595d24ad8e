"""Whether a contract still keeps what an earlier document of it promised. Pure.

Old and new programs talk to each other in both directions, so a message may change only by new fields that
nobody must send. A default counts as part of the promise: fields that have it are not sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
_TEXTS = ("description", "title", "examples")
_NESTED = ("properties", "required", "$ref", "items", "additionalProperties", "anyOf", "prefixItems")


def breaches(old: Document, new: Document) -> list[str]:
    """What a program made for the old document would stumble over; empty when nothing."""
    return [*_channels(old, new), *_operations(old, new), *_keys(old, new)]


def _channels(old: Document, new: Document) -> Iterator[str]:
    for name, channel in old.get("channels", {}).items():
        present = new.get("channels", {}).get(name)
        if present is None:
            yield f"{name} is gone"
            continue
        if present["address"] != channel["address"]:
            yield f"{name}: address {channel['address']} became {present['address']}"
        for role, message in channel["messages"].items():
            comparison = _Comparison(old, new)
            yield from comparison.schemas(_payload(old, message), _payload(new, present["messages"][role]), name)


def _payload(document: Document, message: Document) -> Document:
    payload: Document = _resolve(document, _resolve(document, message))["payload"]
    return payload


def _operations(old: Document, new: Document) -> Iterator[str]:
    for name, operation in old.get("operations", {}).items():
        present = new.get("operations", {}).get(name)
        if present is not None and operation.get("x-idempotent") and not present.get("x-idempotent"):
            yield f"{name} was idempotent"


def _keys(old: Document, new: Document) -> Iterator[str]:
    for pattern, keys in old.get("x-keys", {}).items():
        present = new.get("x-keys", {}).get(pattern)
        if present is None:
            yield f"keys {pattern} are gone"
        elif present["bucket"] != keys["bucket"]:
            yield f"keys {pattern}: bucket {keys['bucket']} became {present['bucket']}"
        else:
            yield from _Comparison(old, new).schemas(_record(keys), _record(present), f"keys {pattern}")


def _record(keys: Document) -> Document:
    return {"$ref": f"#/components/schemas/{keys['record']}"}


def _resolve(document: Document, schema: Document) -> Document:
    """What a local reference points at; anything else is itself."""
    if "$ref" not in schema:
        return schema
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


class _Comparison:
    """Two schemas side by side; recursive ones are looked at once."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def schemas(self, old: Any, new: Any, path: str) -> Iterator[str]:
        if not (isinstance(old, dict) and isinstance(new, dict)):
            if old != new:
                yield f"{path}: {old} became {new}"
            return
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if pair != ("None", "None"):
            if pair in self._seen:
                return
            self._seen.add(pair)
        yield from self._compared(_resolve(self._old, old), _resolve(self._new, new), path)

    def _compared(self, old: Document, new: Document, path: str) -> Iterator[str]:
        for word in sorted((set(old) | set(new)) - {*_TEXTS, *_NESTED}):
            if old.get(word) != new.get(word):
                yield f"{path}: {word} {old.get(word)!r} became {new.get(word)!r}"
        yield from self._fields(old, new, path)
        for word in ("items", "additionalProperties"):
            if word in old or word in new:
                yield from self.schemas(old.get(word), new.get(word), f"{path}[]")
        for word in ("anyOf", "prefixItems"):
            yield from self._lists(old.get(word, []), new.get(word, []), path)

    def _fields(self, old: Document, new: Document, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{path}.{name} is gone"
            else:
                yield from self.schemas(before[name], after[name], f"{path}.{name}")
        for name in sorted(set(new.get("required", ())) ^ set(old.get("required", ()))):
            became = "required" if name in new.get("required", ()) else "optional"
            if name in after:
                yield f"{path}.{name} became {became}"

    def _lists(self, old: list[Any], new: list[Any], path: str) -> Iterator[str]:
        if len(old) != len(new):
            yield f"{path}: {len(old)} alternatives became {len(new)}"
            return
        for one, other in zip(old, new, strict=True):
            yield from self.schemas(one, other, path)
