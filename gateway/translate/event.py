"""Events as `docker events` shows them, and which of them a client wants."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts.common import DockerEvent

from ..http.version import Version
from . import filters as rules
from .filters import Filters

_OPEN_ENDED = frozenset(("health_status", "exec_create", "exec_start"))
"""Actions with a text behind them: a filter for these matches by how the action begins."""
_BY_NAME = ("daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config")


def _without_tag(image: str) -> str:
    head, _, _ = image.partition("@")
    name, colon, tag = head.rpartition(":")
    return name if colon and "/" not in tag else head


def _image(event: DockerEvent, filters: Filters) -> bool:
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    names = (event.actor, name, _without_tag(event.actor), _without_tag(name))
    return any(rules.exact(filters, "image", candidate) for candidate in names)


def _action(event: DockerEvent, filters: Filters) -> bool:
    if _OPEN_ENDED & set(filters.get("event", ())):
        return rules.prefix(filters, "event", event.action)
    return rules.exact(filters, "event", event.action)


def wanted(event: DockerEvent, filters: Filters) -> bool:
    """Whether all filters let it through (Moby's rules)."""
    if not filters:
        return True
    name = event.attributes.get("name", "")
    return (
        _action(event, filters)
        and rules.exact(filters, "type", event.type)
        and rules.exact(filters, "scope", event.scope)
        and all(
            rules.prefix(filters, kind, event.actor) or rules.prefix(filters, kind, name)
            for kind in _BY_NAME
            if kind in filters
        )
        and _image(event, filters)
        and rules.labels(filters, event.attributes)
    )


def show(event: DockerEvent, version: Version) -> dict[str, Any]:
    """Docker's object; until 1.51 with the fields of old for containers and images."""
    old: dict[str, Any] = {}
    if version < (1, 52) and event.type in ("container", "image"):
        old = {"status": event.action} | ({"id": event.actor} if event.actor else {})
        if event.type == "container" and event.attributes.get("image"):
            old["from"] = event.attributes["image"]
    return old | {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": event.attributes},
        "scope": event.scope,
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
    }


def hidden(event: DockerEvent, version: Version) -> bool:
    """Image create events came with 1.46."""
    return version < (1, 46) and event.type == "image" and event.action == "create"


def line(event: DockerEvent, version: Version, sequence: bool) -> bytes:
    """One line of the stream; `sequence`: JSON text sequences (RFC 7464)."""
    return (b"\x1e" if sequence else b"") + msgspec.json.encode(show(event, version)) + b"\n"
