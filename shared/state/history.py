"""Past events: read back from the broker's events stream, or, in tests, from memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from shared.bus import Bus, Delivery
from shared.bus.transport import Transport
from shared.clock import rfc3339
from shared.contracts.base import ROOT
from shared.contracts.common import DockerEvent
from shared.errors import Unavailable
from shared.ids import new_token
from shared.state.streams import EVENTS

_SUBJECT = f"{ROOT}.events.>"
_BATCH = 500
_PATIENCE = 10.0


class History(Protocol):
    """What happened, in order."""

    def read(self, since: int, until: int) -> AsyncIterator[DockerEvent]:
        """Events from `since` to `until` (nanoseconds; until 0: now). Raises `Unavailable`."""


class NatsHistory:
    """Reads the events stream in batches (JetStream's direct get); keeps no consumer on the broker."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def read(self, since: int, until: int) -> AsyncIterator[DockerEvent]:
        start: dict[str, object] = {"start_time": rfc3339(max(since, 1))}
        while True:
            batch = await self._batch(start)
            for delivery in batch:
                event = _event(delivery.payload)
                if event is not None and event.time_ns >= since and (not until or event.time_ns <= until):
                    yield event
            if len(batch) < _BATCH:
                return
            start = {"seq": int(batch[-1].headers["Nats-Sequence"]) + 1}

    async def _batch(self, start: dict[str, object]) -> list[Delivery]:
        inbox = f"{self._bus.transport.inbox}.h.{new_token()[:12]}"
        received: list[Delivery] = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def receive(delivery: Delivery) -> None:
            if "Status" not in delivery.headers:
                received.append(delivery)
            elif not done.done():
                done.set_result(None)

        subscription = await self._bus.transport.subscribe(inbox, receive)
        try:
            request = msgspec.json.encode({**start, "batch": _BATCH, "next_by_subj": _SUBJECT})
            await self._bus.transport.publish(f"$JS.API.DIRECT.GET.{EVENTS}", request, reply=inbox)
            async with asyncio.timeout(_PATIENCE):
                await done
        except TimeoutError:
            raise Unavailable("past events cannot be read: the broker does not answer") from None
        finally:
            await subscription.drain()
        return received


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
