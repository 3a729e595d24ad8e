"""All workloads of this host, by id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from shared.errors import NotFound
from shared.tasks import TaskGroup

from ..domain import lifecycle
from ..domain.lifecycle import Ended
from . import bundle
from .workload import Watched, Workload

Told = Callable[[Watched, Ended], Awaitable[None]]


class Workloads:
    """What the platform knows of; operations on one workload are done one after the other, on several at once."""

    def __init__(self, told: Told) -> None:
        """`told` tells that the first process of a workload or exec has ended, and returns when others know."""
        self._told = told
        self._tasks = TaskGroup("workloads")
        self._known: dict[str, Workload] = {}

    def __iter__(self) -> Iterator[Workload]:
        return iter(self._known.values())

    def find(self, workload: str) -> Workload | None:
        """The workload, or None."""
        return self._known.get(workload)

    def get(self, workload: str) -> Workload:
        """The workload; `NotFound` when there is none."""
        found = self._known.get(workload)
        if found is None:
            raise NotFound(f"No such container: {workload}")
        return found

    @asynccontextmanager
    async def doing(self, workload: str, wish: str) -> AsyncIterator[Workload]:
        """The workload, locked, in a state that allows `wish`; `Conflict` when its state does not."""
        found = self.get(workload)
        async with found.lock:
            if self._known.get(workload) is not found:
                raise NotFound(f"No such container: {workload}")
            lifecycle.check(workload, found.state, wish)
            yield found

    def keep(self, workload: Workload) -> Workload:
        """Takes a workload in and tells of its end."""
        self._known[workload.record.id] = workload
        self._watch(workload)
        return workload

    def _watch(self, watched: Watched) -> None:
        watched.watch(lambda: self._tasks.start(self._tell(watched), "tell"))

    async def _tell(self, watched: Watched) -> None:
        try:
            if not watched.silent:
                await self._told(watched, watched.ended.result())
        finally:
            watched.known.set()

    def keep_exec(self, workload: Workload, running: Watched) -> None:
        """Takes an exec in and tells of its end."""
        workload.execs[running.record.exec_id] = running
        self._watch(running)

    def forget(self, workload: Workload) -> None:
        """Lets go of a workload that was removed."""
        workload.close()
        del self._known[workload.record.id]

    def forget_exec(self, exec_id: str) -> None:
        """Drops what is kept of an exec that ended. Idempotent."""
        for workload in self:
            running = workload.execs.get(exec_id)
            if running is not None and running.ended.done():
                del workload.execs[exec_id]
                running.close()
                bundle.remove(running.folder)

    async def close(self) -> None:
        """Stops watching. The workloads go on."""
        await self._tasks.close()
        for workload in self:
            for running in workload.execs.values():
                running.close()
            workload.close()
