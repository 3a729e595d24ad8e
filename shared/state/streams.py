"""The broker's streams: what they hold and how durable they are.

State is synced before it is acknowledged (the embedded broker runs with `sync_interval: always`); events and
spans go to fast streams, bounded by age and size.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec

from shared.bus import Bus
from shared.cluster import HUB_DOMAIN
from shared.contracts.base import AGREED, BUCKET, ROOT
from shared.errors import Unavailable
from shared.state.watch import api
from shared.telemetry import SPANS_SUBJECT

EVENTS = "SHOAL_EVENTS"
SPANS = "SHOAL_SPANS"
LOG_BYTES = 24 << 20
"""Most that the streams of events and of spans hold. From 32 MB on the broker keeps 8 MB of each in memory, not 4."""
IN_USE = 10058
"""JetStream's code for a stream that exists with another configuration: an older engine's, or an operator's."""
_SECOND = 1_000_000_000


def _bucket(name: str, **more: Any) -> dict[str, Any]:
    """A key-value bucket as every NATS client knows it (ADR-8). What is replaced goes before this limit takes it away
    (`shared.state.nats`).
    """
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "max_msgs_per_subject": 2,  # the second is what a write is about to take away
        "discard": "new",
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
        "duplicate_window": 120 * _SECOND,
        "storage": "file",
        "num_replicas": 1,
        "retention": "limits",
        **more,
    }


def _log(name: str, subject: str, max_bytes: int, max_age: int) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": [subject],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_bytes": max_bytes,
        "max_age": max_age * _SECOND,
        "allow_direct": True,
        "num_replicas": 1,
        "persist_mode": "async",
    }


STREAMS: tuple[dict[str, Any], ...] = (
    _bucket(BUCKET, max_msgs_per_subject=64),
    _bucket(AGREED),
    _log(EVENTS, f"{ROOT}.events.>", LOG_BYTES, 7 * 24 * 3600),
    _log(SPANS, SPANS_SUBJECT, LOG_BYTES, 24 * 3600),
)


async def ensure(bus: Bus, agreed: str = "") -> bool:
    """Makes the streams that are not there yet. Any service may be the first; an existing stream is left as it is.

    `agreed`: the domain that keeps what is agreed on, when it is the hubs': they have made it. Returns whether all are
    as described here.
    """
    mine = [config for config in STREAMS if not agreed or config["name"] != f"KV_{AGREED}"]
    return all(await asyncio.gather(*(_ensure(bus, config) for config in mine)))


async def ensure_agreed(bus: Bus) -> None:
    """Makes the hubs' stream of what is agreed on, where it is not there yet."""
    await _ensure(bus, _bucket(AGREED), HUB_DOMAIN)


async def replicate_agreed(bus: Bus, replicas: int) -> None:
    """Has so many hubs keep what is agreed on; raises `Unavailable` where that cannot be begun now."""
    config = msgspec.json.encode(_bucket(AGREED, num_replicas=replicas))
    await _stream(bus, "UPDATE", config)


class Kept(NamedTuple):
    """Who keeps what is agreed on: so many `wanted` hubs; those (by name) that have all of it now, and the others."""

    wanted: int
    current: frozenset[str]
    behind: frozenset[str]


async def who_keeps_agreed(bus: Bus) -> Kept:
    """Raises `Unavailable` while nobody leads."""
    found = await _stream(bus, "INFO", b"")
    group = found.get("cluster", {})
    if not group.get("leader"):
        raise Unavailable("no hub leads")
    others = group.get("replicas", ())
    current = {one["name"] for one in others if one.get("current") and not one.get("offline")}
    behind = {one["name"] for one in others} - current
    return Kept(found["config"]["num_replicas"], frozenset({group["leader"], *current}), frozenset(behind))


async def _stream(bus: Bus, verb: str, payload: bytes) -> Any:
    reply = await bus.request_raw(f"{api(HUB_DOMAIN)}.STREAM.{verb}.KV_{AGREED}", payload)
    found = msgspec.json.decode(reply.payload)
    if error := found.get("error"):
        raise Unavailable(f"stream of what is agreed on: {error.get('description')}")
    return found


async def _ensure(bus: Bus, config: dict[str, Any], domain: str = "") -> bool:
    subject = f"{api(domain)}.STREAM.CREATE.{config['name']}"
    reply = await bus.request_raw(subject, msgspec.json.encode(config))
    error = msgspec.json.decode(reply.payload).get("error")
    if error and error.get("err_code") != IN_USE:
        raise Unavailable(f"broker stream {config['name']}: {error.get('description')}")
    return not error
