"""Following the plan machine of one migration, and telling how it goes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from shared import telemetry
from shared.contracts.migrator import Figures, Progress

from ..domain import machine
from ..domain.machine import Cancel, Do, Failed, State
from .steps import Steps

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
QUIET = ("freeze", "detach", "capture", "switch")
"""Of these steps is told with the one that follows: while it stands still who hears of them takes processor time."""
TELLING = 8 << 20
"""Bytes of memory from which on the time that they took tells how fast the line is."""


class Following:
    """One migration; `tell` hears of each step."""

    def __init__(self, steps: Steps, tell: Callable[[Progress], None]) -> None:
        self._steps, self._tell = steps, tell
        self._untold: list[Progress] = []
        self._canceled = ""
        self.switched = False
        """Whether the container is the target's, or may be."""
        self._took: dict[str, float] = {}
        self._line = 0

    def cancel(self, reason: str) -> None:
        """It is to stay where it is; too late after the switch."""
        self._canceled = reason

    async def follow(self, begun: tuple[State, Do]) -> State:
        """To the end. What must not fail is repeated until it succeeds."""
        state, todo = begun
        started, pause = time.monotonic(), FIRST_PAUSE
        following: Do | None = todo
        while following is not None:
            if following.again:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            state, following = await self._step(state, following)
        self._end(state, (time.monotonic() - started) * 1000)
        return state

    async def _step(self, state: State, todo: Do) -> tuple[State, Do | None]:
        if self._canceled:
            state, _ = machine.step(state, Cancel(self._canceled))
        self.switched = self.switched or todo.step == "switch" or state.mode == "onward"
        sent, begun = self._sent(), time.monotonic()
        with telemetry.span(f"migration {todo.step}"):
            event = await self._steps.do(todo.step)
        ms = (time.monotonic() - begun) * 1000
        if todo.step == "hold" and self._steps.record.strategy == "cold":
            self._steps.still_from = begun
        if isinstance(event, Failed):
            log.warning("migration of %s: %s: %s", self._steps.record.name, todo.step, event.error)
        if todo.step == "precopy" and self._steps.counted.memory_bytes >= TELLING:
            self._line = int(self._steps.counted.memory_bytes / ms * 1000)
        self._took[todo.step] = self._took.get(todo.step, 0) + ms
        failed = event.error if isinstance(event, Failed) else ""
        undo = state.mode in ("back", "doubt")
        self._untold.append(Progress(step=todo.step, ms=ms, bytes=self._sent() - sent, undo=undo, text=failed))
        if failed or todo.step not in QUIET:
            told, self._untold = self._untold, []
            for progress in told:
                self._tell(progress)
        return machine.step(state, event)

    @property
    def target(self) -> str:
        """The node that it goes to."""
        return self._steps.record.target

    @property
    def line(self) -> int:
        """Bytes of memory a second that went over while it ran; 0: too few to tell."""
        return self._line

    def _freeze_ms(self) -> float:
        """From the stop to the going on; 0 where one of them was not seen."""
        steps = self._steps
        return (steps.still_until - steps.still_from) * 1000 if steps.still_from and steps.still_until else 0.0

    def _sent(self) -> int:
        return self._steps.counted.file_bytes + self._steps.counted.memory_bytes

    def _end(self, state: State, total: float) -> None:
        if state.error:
            self._tell(Progress(error=state.error))
            return
        figures = Figures(
            strategy=self._steps.record.strategy,
            freeze_ms=round(self._freeze_ms(), 1),
            total_ms=round(total, 1),
            file_bytes=self._steps.counted.file_bytes,
            memory_bytes=self._steps.counted.memory_bytes,
            steps={name: round(ms, 1) for name, ms in self._took.items()},
        )
        self._tell(Progress(result=figures))
