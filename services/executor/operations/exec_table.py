"""Execs that were made, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.contracts.execs import ExecCreateRequest, ExecState

MOST_ENDED = 512
"""Ended execs that can still be inspected; dockerd forgets them after five to ten minutes."""
KILLED = 137
MOST_WAITING = 4096
"""Execs made and not started."""


@dataclass(eq=False)
class Exec:
    """One exec. `exit_code` None until it ended; `started` once somebody began to start it."""

    id: str
    request: ExecCreateRequest
    started: bool = False
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it ended."""

    def state(self) -> ExecState:
        return ExecState(
            id=self.id,
            container_id=self.request.id,
            request=self.request,
            running=self.running,
            exit_code=self.exit_code,
            pid=self.pid,
        )


class ExecTable:
    """Execs by id. Live ones stay; of the others the oldest go first."""

    def __init__(self) -> None:
        self._all: dict[str, Exec] = {}
        self._waiting: dict[str, None] = {}
        self._ended: dict[str, None] = {}

    def __iter__(self) -> Iterator[Exec]:
        return iter(tuple(self._all.values()))

    def add(self, execution: Exec) -> None:
        self._all[execution.id] = execution
        self._waiting[execution.id] = None
        self._bound(self._waiting, MOST_WAITING)

    def get(self, exec_id: str) -> Exec | None:
        return self._all.get(exec_id)

    def live(self, container_id: str) -> tuple[str, ...]:
        """The execs of a container that have not ended, as `docker inspect` shows them."""
        return tuple(
            execution.id
            for execution in self._all.values()
            if execution.request.id == container_id and execution.exit_code is None
        )

    def begin(self, execution: Exec) -> None:
        """It is being started."""
        execution.started = execution.running = True
        self._waiting.pop(execution.id, None)

    def end(self, execution: Exec, exit_code: int) -> None:
        """It ended, or could not be started."""
        execution.started, execution.running, execution.exit_code = True, False, exit_code
        execution.over.set()
        self._waiting.pop(execution.id, None)
        if execution.id in self._all:
            self._ended[execution.id] = None
            self._bound(self._ended, MOST_ENDED)

    def stop(self, container_id: str) -> None:
        """The container's init ended and the kernel killed all others: live execs ended, waiting ones never begin."""
        for execution in self:
            if execution.request.id != container_id or execution.exit_code is not None:
                continue
            if execution.running:
                self.end(execution, KILLED)
            else:
                del self._all[execution.id]
                self._waiting.pop(execution.id, None)

    def _bound(self, ids: dict[str, None], most: int) -> None:
        while len(ids) > most:
            oldest = next(iter(ids))
            del ids[oldest]
            self._all.pop(oldest, None)
