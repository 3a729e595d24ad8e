"""What services need of the store of records."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import msgspec

from shared import telemetry
from shared.bus import Delivery
from shared.clock import now_ns
from shared.contracts.base import Keys, Message
from shared.errors import DataLoss
from shared.state.view import Entry, View

M = TypeVar("M", bound=Message)
SCHEMA = 1


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored around every record: schema number, last writer, its trace, time (ns), the record itself."""

    schema: int
    written_by: str
    at: int
    object: msgspec.Raw
    traceparent: str = ""


class State(Protocol):
    """Key-value records; every write is a compare-and-set on the record's revision, and synced when it returns."""

    async def get(self, keys: Keys[M], *parts: str, host: str = "") -> Entry[M] | None:
        """The record, of another host where one is named."""

    async def create(self, keys: Keys[M], *parts: str, value: M) -> int:
        """Writes a record that must not exist; its revision. Raises `AlreadyExists`."""

    async def update(self, keys: Keys[M], *parts: str, value: M, revision: int) -> int:
        """Writes over the revision that was read; the new one. Raises `Conflict` when somebody wrote meanwhile."""

    async def delete(self, keys: Keys[M], *parts: str, revision: int | None = None) -> int:
        """Removes the record, with `revision` only that one (`Conflict`). Removing what is not there is fine."""

    async def latest(self, keys: Keys[Any], host: str = "") -> int:
        """The revision of the last change of a family's records, of another host's where one is named; 0: there was
        none.
        """

    async def view(self, *keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        """A read model of these families; complete when this returns, then kept up to date.

        `host`: the records of another host (its node id) instead of this one's. `wait`: who keeps the records may be
        away; after so many seconds the view is returned as it is, `live` or not, and completed when they are back.
        """

    async def close(self) -> None:
        """Ends all views: they show what they showed last."""


def seal(value: Message, writer: str) -> bytes:
    """The stored bytes of a record."""
    headers = telemetry.inject({})
    raw = msgspec.Raw(msgspec.json.encode(value))
    envelope = Envelope(SCHEMA, writer, now_ns(), raw, headers.get("traceparent", ""))
    return msgspec.json.encode(envelope)


def removed(message: Delivery) -> bool:
    """Whether a stored message marks that its record was removed, or has outlived its time."""
    return "KV-Operation" in message.headers or "Nats-Marker-Reason" in message.headers


def leaves_value(marker: Delivery) -> bool:
    """Whether the record that a marker says was removed is still in the stream: then the marker stays."""
    return "KV-Operation" in marker.headers and "Nats-TTL" not in marker.headers


def unseal(payload: bytes, keys: Keys[M], key: str, revision: int) -> Entry[M]:
    """The record; raises `DataLoss` naming the key when the bytes are not one."""
    try:
        envelope = msgspec.json.decode(payload, type=Envelope)
        value = msgspec.json.decode(envelope.object, type=keys.record)
    except msgspec.DecodeError as error:
        raise DataLoss(f"record {key} revision {revision}: {error}") from None
    return Entry(key, value, revision, envelope.traceparent)
