"""Sending ended spans to the broker: in small batches, only when there are some."""

from __future__ import annotations

import asyncio

import msgspec

from shared.bus import Bus
from shared.tasks import TaskGroup
from shared.telemetry import SPANS_SUBJECT, SpanRecord

DELAY = 0.25
"""Seconds in which spans gather before they are sent."""
MOST = 10_000
"""Spans kept while the broker is away; the oldest go first."""


class SpanSender:
    """`add` may be called from any thread of the process; a batch is one message of JSON."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self._loop = bus, asyncio.get_running_loop()
        self._waiting: list[SpanRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = TaskGroup("spans")

    def add(self, record: SpanRecord) -> None:
        self._waiting.append(record)
        if self._timer is None:
            self._loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(DELAY, self._send)

    def _send(self) -> None:
        self._timer = None
        batch, self._waiting = self._waiting[-MOST:], []
        if batch:
            self._tasks.start(self._bus.transport.publish(SPANS_SUBJECT, msgspec.json.encode(batch)), "send")

    async def close(self) -> None:
        self._send()
        await self._tasks.drain(1.0)
