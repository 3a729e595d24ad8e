"""Past events: read back from the broker's events stream, or, in tests, from memory."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from shared.bus import Bus, Delivery
from shared.bus.transport import Transport
from shared.contracts.base import ROOT
from shared.contracts.common import DockerEvent
from shared.errors import Unavailable
from shared.state.replay import replay
from shared.state.streams import EVENTS

log = logging.getLogger(__name__)

_SUBJECT = f"{ROOT}.events.>"


class History(Protocol):
    """What happened, in order."""

    def read(self, since: int, until: int, hosts: Sequence[str] = ()) -> AsyncIterator[DockerEvent]:
        """Events from `since` to `until` (nanoseconds; until 0: now). Raises `Unavailable`.

        A host keeps what happens on all hosts while it is in touch with them. With other `hosts` what any of them has
        kept comes, too: the same event once from each. Those that do not answer are left out.
        """


class NatsHistory:
    """Reads the events stream; keeps no consumer on the broker."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def read(self, since: int, until: int, hosts: Sequence[str] = ()) -> AsyncIterator[DockerEvent]:
        async for event in merged([self._read(since, host) for host in ("", *hosts)]):
            if event.time_ns >= since and (not until or event.time_ns <= until):
                yield event

    async def _read(self, since: int, host: str) -> AsyncIterator[DockerEvent]:
        try:
            async for delivery in replay(self._bus, EVENTS, _SUBJECT, since, host):
                event = _event(delivery.payload)
                if event is not None:
                    yield event
        except Unavailable as error:
            if not host:
                raise
            log.warning("events of host %s: %s", host, error)


async def merged(sources: Sequence[AsyncIterator[DockerEvent]]) -> AsyncIterator[DockerEvent]:
    """By time, as far as the sources themselves are."""
    first = await asyncio.gather(*(anext(source, None) for source in sources))
    heads = [(event.time_ns, at, event) for at, event in enumerate(first) if event is not None]
    heapq.heapify(heads)
    while heads:
        _, at, event = heads[0]
        yield event
        following = await anext(sources[at], None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following.time_ns, at, following))


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

    async def read(self, since: int, until: int, hosts: Sequence[str] = ()) -> AsyncIterator[DockerEvent]:
        for event in tuple(self._events):
            if event.time_ns >= since and (not until or event.time_ns <= until):
                for _ in ("", *hosts):
                    yield event


def _event(payload: bytes) -> DockerEvent | None:
    """None for what is no Docker event (another version's)."""
    try:
        return msgspec.json.decode(payload, type=DockerEvent)
    except msgspec.DecodeError:
        return None
