"""Background tasks whose reference is kept and whose failure is seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from shared import deadline

log = logging.getLogger(__name__)

T = TypeVar("T")


class TaskGroup:
    """Tasks of one owner: started by `start`, ended together by `close`. A failed task is logged, not lost."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T], name: str = "") -> asyncio.Task[T]:
        """Runs the coroutine in the background and keeps the reference until it ends.

        It stays in the present trace, but the deadline of who starts it does not bind it.
        """
        context = copy_context()
        context.run(deadline.clear)
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, name=f"{self._name}:{name}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=error)

    async def drain(self, timeout: float) -> None:
        """Waits until all tasks have ended, at most `timeout` seconds."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=timeout)

    def cancel(self) -> None:
        """Cancels what still runs, without waiting for it."""
        for task in tuple(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """Cancels what still runs, and what is begun because of that, and waits for it."""
        current = asyncio.current_task()
        while pending := [task for task in self._tasks if task is not current]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)  # not gather: from Python 3.12 on it lets nobody run when all have ended
