"""Sending ended spans to the broker: in small batches, only when there are some."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from shared.bus import Bus
from shared.errors import ShoalError
from shared.tasks import TaskGroup
from shared.telemetry import SPANS_SUBJECT, SpanRecord

log = logging.getLogger(__name__)

DELAY = 0.25
"""Seconds in which spans gather before they are sent."""
BATCH = 500
"""Spans in one message."""
MOST = 10_000
"""Spans kept while the broker is away; the oldest go first."""


class SpanSender:
    """`add` may be called from any thread of the process; a batch is one message of JSON.

    `worked` is called when some were sent: all work leaves spans.
    """

    def __init__(self, bus: Bus, worked: Callable[[], None] = lambda: None) -> None:
        self._bus, self._loop = bus, asyncio.get_running_loop()
        self.worked = worked
        self._waiting: list[SpanRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = TaskGroup("spans")
        bus.transport.on_reconnect(self._schedule)

    def add(self, record: SpanRecord) -> None:
        self._waiting.append(record)
        if self._timer is None:
            self._loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(DELAY, self._send)

    def _send(self) -> None:
        self._timer = None
        if not self._bus.transport.connected:  # what others have to say must not wait behind this
            self._waiting = self._waiting[-MOST:]
            return
        self.worked()
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), BATCH):
            self._tasks.start(self._publish(waiting[start : start + BATCH]), "send")

    async def _publish(self, batch: list[SpanRecord]) -> None:
        try:
            await self._bus.transport.publish(SPANS_SUBJECT, msgspec.json.encode(batch))
        except ShoalError as error:
            log.warning("%d spans lost: %s", len(batch), error)

    async def close(self) -> None:
        """Sends what waits, if the broker is there."""
        if self._timer is not None:
            self._timer.cancel()
        self._send()
        await self._tasks.drain(1.0)
