"""Reconciliation: what should be and what is are compared, and made alike, whenever something may have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared import telemetry
from shared.clock import now_ns
from shared.errors import ShoalError
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

Desired = TypeVar("Desired")
Observed = TypeVar("Observed")
Action = TypeVar("Action")

FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
"""Seconds until a run that failed is tried again, doubled with each failure in a row."""
MOST_LINKS = 100


@dataclass(frozen=True)
class Plan(Generic[Action]):
    """What to do now, in this order; and in how many seconds to look again though nothing happens (None: never)."""

    actions: Sequence[Action] = ()
    again_in: float | None = None


class Loop(Generic[Desired, Observed, Action]):
    """Runs when triggered, and never twice at once; triggers during a run lead to one more.

    `desired` and `observed` tell what should be and what is; `plan(desired, observed, now)` decides, without I/O,
    now in nanoseconds; `act` does one action. An action that fails leaves the others to be done; the run is then
    repeated later and later. A run's span links to the traces that triggered it.
    """

    def __init__(
        self,
        name: str,
        desired: Callable[[], Desired],
        observed: Callable[[], Awaitable[Observed]],
        plan: Callable[[Desired, Observed, int], Plan[Action]],
        act: Callable[[Action], Awaitable[None]],
    ) -> None:
        self._name = name
        self._desired, self._observed, self._plan, self._act = desired, observed, plan, act
        self._tasks = TaskGroup(f"reconcile {name}")
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._links: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0

    def open(self) -> None:
        """Begins, with a first run."""
        self.trigger()
        self._tasks.start(self._run(), "run")

    async def close(self) -> None:
        """Breaks off what is being done."""
        self._cancel_timer()
        await self._tasks.close()

    def trigger(self, traceparent: str = "") -> None:
        """Something may have changed; `traceparent` of who changed it, as a record's entry has it."""
        if traceparent and len(self._links) < MOST_LINKS:
            self._links.append(traceparent)
        self._idle.clear()
        self._due.set()

    async def settled(self) -> None:
        """Returns when all triggers were followed (also in vain: a run that failed waits for its next try)."""
        await self._idle.wait()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            self._cancel_timer()
            links, self._links = self._links, []
            again_in = await self._once(links)
            if again_in is not None:
                self._timer = asyncio.get_running_loop().call_later(again_in, self.trigger)
            if not self._due.is_set():
                self._idle.set()

    async def _once(self, links: list[str]) -> float | None:
        """One run; in how many seconds the next one is due."""
        with telemetry.linked_span(f"reconcile {self._name}", links):
            try:
                plan = self._plan(self._desired(), await self._observed(), now_ns())
                failed = [action for action in plan.actions if not await self._done(action)]
            except Exception as error:  # noqa: BLE001  # a dispatcher: a defect must not end the loop
                self._complain(error)
                return self._delay()
        if failed:
            return min(self._delay(), LONGEST_DELAY if plan.again_in is None else plan.again_in)
        self._failures = 0
        return plan.again_in

    async def _done(self, action: Action) -> bool:
        try:
            await self._act(action)
        except Exception as error:  # noqa: BLE001  # as above
            self._complain(error, action)
            return False
        return True

    def _complain(self, error: Exception, action: Action | None = None) -> None:
        what = "" if action is None else f" {action!r}"
        log.warning("%s%s: %s", self._name, what, error, exc_info=None if isinstance(error, ShoalError) else error)

    def _delay(self) -> float:
        self._failures += 1
        return float(min(FIRST_DELAY * 2.0 ** min(self._failures - 1, 16), LONGEST_DELAY))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
