"""Work that several clients may want at once, done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shared import deadline

from ..domain.progress import Step
from ..domain.registry_answers import RegistryError

Tell = Callable[[Step], Awaitable[None]]
T = TypeVar("T")


class _Watcher:
    """What one client has still to be told: of each part and state only the newest."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], Step] = {}
        self._ready = asyncio.Event()

    def put(self, step: Step) -> None:
        self._steps[step.id, step.status] = step
        self._ready.set()

    def wake(self) -> None:
        self._ready.set()

    async def take(self) -> list[Step]:
        await self._ready.wait()
        self._ready.clear()
        steps, self._steps = list(self._steps.values()), {}
        return steps


@dataclass
class _Shared(Generic[T]):
    task: asyncio.Task[T]
    told: dict[tuple[str, str], Step] = field(default_factory=dict)
    watchers: set[_Watcher] = field(default_factory=set)


class Transfers:
    """Shared work by key. Who comes later is told what has been; when nobody is left, the work is cancelled."""

    def __init__(self) -> None:
        self._running: dict[str, _Shared[Any]] = {}

    def keys(self) -> set[str]:
        return set(self._running)

    async def join(self, key: str, work: Callable[[Tell], Coroutine[Any, Any, T]], tell: Tell) -> T:
        """The work's outcome; `tell` gets its steps, and may be as slow as it likes."""
        while (leaving := self._running.get(key)) is not None and not leaving.watchers:
            await asyncio.wait((leaving.task,))  # it is being cancelled
        shared: _Shared[T] = self._running.get(key) or self._begin(key, work)
        watcher = _Watcher()
        for step in shared.told.values():
            watcher.put(step)
        shared.watchers.add(watcher)
        try:
            return await self._watch(shared, watcher, tell)
        finally:
            shared.watchers.discard(watcher)
            if not shared.watchers and not shared.task.done():
                shared.task.cancel()
                await asyncio.wait((shared.task,))

    def _begin(self, key: str, work: Callable[[Tell], Coroutine[Any, Any, T]]) -> _Shared[T]:
        async def tell(step: Step) -> None:
            shared.told[step.id, step.status] = step
            for watcher in shared.watchers:
                watcher.put(step)

        async def run() -> T:
            try:
                return await work(tell)
            finally:
                del self._running[key]

        shared: _Shared[T] = _Shared(_start(run(), key))
        shared.task.add_done_callback(lambda _: _wake(shared))
        self._running[key] = shared
        return shared

    @staticmethod
    async def _watch(shared: _Shared[T], watcher: _Watcher, tell: Tell) -> T:
        while True:
            done = shared.task.done()
            if done:
                watcher.wake()
            for step in await watcher.take():
                await tell(step)
            if done:
                return shared.task.result()

    async def close(self) -> None:
        """Cancels all of it."""
        tasks = [shared.task for shared in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def retried(work: Callable[[], Coroutine[Any, Any, T]], attempts: int, delay: int, tell: Tell, name: str) -> T:
    """Does it again while that may help: at most `attempts` times, each after `delay` seconds more than the last."""
    attempt = 1
    while True:
        try:
            return await work()
        except RegistryError as error:
            if not error.again or attempt >= attempts:
                raise
            seconds = round(attempt * delay if error.wait is None else error.wait)
        for left in range(seconds, 0, -1):
            await tell(Step(name, f"Retrying in {left} second{'s' if left != 1 else ''}"))
            await asyncio.sleep(1)
        attempt += 1


def _start(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A task of nobody's deadline, in the trace of who wants it first. Its errors are the watchers' to tell."""
    context = copy_context()
    context.run(deadline.clear)
    return asyncio.get_running_loop().create_task(work, name=f"transfer:{name}", context=context)


def _wake(shared: _Shared[Any]) -> None:
    for watcher in shared.watchers:
        watcher.wake()
    if not shared.task.cancelled():
        shared.task.exception()  # every watcher raises it; nobody else need see it
