"""Past events: read back from the broker's events stream, or, in tests, from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from shared.bus import Bus, Delivery
from shared.bus.transport import Transport
from shared.contracts.base import ROOT
from shared.contracts.common import DockerEvent
from shared.state.replay import replay
from shared.state.streams import EVENTS

_SUBJECT = f"{ROOT}.events.>"


class History(Protocol):
    """What happened, in order."""

    def read(self, since: int, until: int) -> AsyncIterator[DockerEvent]:
        """Events from `since` to `until` (nanoseconds; until 0: now). Raises `Unavailable`."""


class NatsHistory:
    """Reads the events stream; keeps no consumer on the broker."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def read(self, since: int, until: int) -> AsyncIterator[DockerEvent]:
        async for delivery in replay(self._bus, EVENTS, _SUBJECT, since):
            event = _event(delivery.payload)
            if event is not None and event.time_ns >= since and (not until or event.time_ns <= until):
                yield event


class MemoryHistory:
    """The twin for tests: remembers what it hears."""

    def __init__(self) -> None:
        self._events: list[DockerEvent] = []

    @classmethod
    async def listening(cls, transport: Transport) -> MemoryHistory:
        history = cls()
        await transport.subscribe(_SUBJECT, history.receive)
        return history

    def receive(self, delivery: Delivery) -> None:
        event = _event(delivery.payload)
        if event is not None:
            self._events.append(event)

    async def read(self, since: int, until: int) -> AsyncIterator[DockerEvent]:
        for event in tuple(self._events):
            if event.time_ns >= since and (not until or event.time_ns <= until):
                yield event


def _event(payload: bytes) -> DockerEvent | None:
    """None for what is no Docker event (another version's)."""
    try:
        return msgspec.json.decode(payload, type=DockerEvent)
    except msgspec.DecodeError:
        return None
