"""Constraints: `node.labels.disk==ssd`, in the words of Docker's swarm mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from shared.cluster import Place
from shared.contracts.scheduler import NodeRecord
from shared.errors import InvalidArgument

_FORM = re.compile(r"\s*(?P<key>[A-Za-z0-9_.-]+)\s*(?P<sign>==|!=)\s*(?P<value>[^=!,\s][^=!,]*?)\s*")
_KEYS = ("node.id", "node.hostname", "node.role", "node.ip", "node.platform.os", "node.platform.arch")
_LABELS = ("node.labels.", "engine.labels.")


class Constraint(NamedTuple):
    """One condition on a host; `equal` False: it must not hold. Values are compared without regard to case."""

    key: str
    equal: bool
    value: str

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Raises `InvalidArgument` for what is no constraint, or is about nothing that hosts have."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise InvalidArgument(f"invalid constraint {text!r}: expected KEY==VALUE or KEY!=VALUE")
        key = found["key"]
        if key not in _KEYS and not any(key.startswith(stem) and key != stem for stem in _LABELS):
            known = ", ".join((*_KEYS, "node.labels.NAME", "engine.labels.NAME"))
            raise InvalidArgument(f"invalid constraint {text!r}: unknown key {key}; hosts have {known}")
        return cls(key, found["sign"] == "==", found["value"].casefold())

    def holds(self, attributes: Mapping[str, str]) -> bool:
        return (attributes.get(self.key, "") == self.value) is self.equal


def parse_all(text: str) -> tuple[Constraint, ...]:
    """Several, with commas between; in an order of their own, so that equal sets are equal."""
    return tuple(sorted({Constraint.parse(part) for part in text.split(",")})) if text.strip() else ()


def attributes(record: NodeRecord) -> dict[str, str]:
    """What constraints compare with, in lower case."""
    host = Place.parse(record.address).host.strip("[]")
    values = {
        "node.id": record.id,
        "node.hostname": record.name,
        "node.role": record.role,
        "node.ip": host,
        "node.platform.os": record.os,
        "node.platform.arch": record.architecture,
        **{f"node.labels.{key}": value for key, value in record.labels.items()},
        **{f"engine.labels.{key}": value for key, value in record.engine_labels.items()},
    }
    return {key: value.casefold() for key, value in values.items()}
