"""What is done when nobody waits: stacks made ahead, interfaces of the dead deleted."""

from __future__ import annotations

import asyncio
import logging

from shared.tasks import TaskGroup

from .adapters.stacks import Stacks

log = logging.getLogger(__name__)

READY = 8
"""Stacks kept ready: a burst of starts as large finds all of them made."""
_REFILL_DELAY = 0.02


class Upkeep:
    """Timers that run only after something happened: an idle engine does nothing."""

    def __init__(
        self,
        stacks: Stacks,
        tasks: TaskGroup,
        ready: int = READY,
        sweep_delay: float = 1.0,
        retry_delay: float = 5.0,
    ) -> None:
        self._stacks = stacks
        self._tasks = tasks
        self._ready = ready
        self._sweep_delay, self._retry_delay = sweep_delay, retry_delay
        self._refill: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._arm_refill(0)

    def close(self) -> None:
        for timer in (self._refill, self._sweep):
            if timer is not None:
                timer.cancel()
        self._ready = 0

    def used(self) -> None:
        """A stack was taken: soon, but after the start that took it, another is made."""
        if self._refill is None:
            self._arm_refill(_REFILL_DELAY)

    def released(self) -> None:
        """A sandbox ended: once no other has for a second, what is left of them is deleted."""
        if self._sweep is not None:
            self._sweep.cancel()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._sweep_delay, lambda: self._tasks.start(self._delete(), "sweep"))

    async def _delete(self) -> None:
        await asyncio.to_thread(self._stacks.sweep)

    def _arm_refill(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        self._refill = loop.call_later(delay, lambda: self._tasks.start(self._fill(), "refill"))

    async def _fill(self) -> None:
        try:
            while self._stacks.ready < self._ready:
                await asyncio.to_thread(self._stacks.prepare)
            self._refill = None
        except OSError as error:
            log.warning("no network stack can be made ahead: %s", error)
            self._arm_refill(self._retry_delay)
