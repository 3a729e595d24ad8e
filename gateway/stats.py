"""Usage figures for all who listen: one sample a second of each container that somebody listens to, none otherwise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from shared.contracts.platform import Sample
from shared.errors import ShoalError
from shared.tasks import TaskGroup

from .views import Containers

INTERVAL = 1.0
log = logging.getLogger(__name__)

Read = Callable[[str, tuple[str, ...]], Awaitable[dict[str, Sample]]]
"""Samples by id of containers of one node; those that do not run are left out."""


class Listener:
    """The newest sample that its owner has not taken yet; None: the container does not run."""

    def __init__(self) -> None:
        self._samples: asyncio.Queue[Sample | None] = asyncio.Queue(1)

    def put(self, sample: Sample | None) -> None:
        if self._samples.full():
            self._samples.get_nowait()
        self._samples.put_nowait(sample)

    async def next(self) -> Sample | None:
        return await self._samples.get()


class Sampler:
    """Shares samples among listeners. It runs only while there are some."""

    def __init__(self, containers: Containers, read: Read) -> None:
        self._containers, self._read = containers, read
        self._listeners: dict[str, set[Listener]] = {}
        self._last: dict[str, Sample] = {}
        self._asked: set[str] = set()
        """Nodes that have not answered yet: they hold up no other."""
        self._running: asyncio.Task[None] | None = None
        self._tasks = TaskGroup("stats")

    @asynccontextmanager
    async def listen(self, id: str) -> AsyncIterator[Listener]:
        """A first sample at once, then one a second, and none (None) at once when the container is removed.

        Raises when the container's platform cannot be asked.
        """
        listener = Listener()
        if id not in self._last:
            self._last |= await self.once(id)
        listener.put(self._last.get(id))
        self._listeners.setdefault(id, set()).add(listener)
        if self._running is None or self._running.done():
            self._running = self._tasks.start(self._run(), "sample")
        watching = self._tasks.start(self._until_removed(id, listener), "watch for removal")
        try:
            yield listener
        finally:
            watching.cancel()
            self._listeners[id].discard(listener)
            if not self._listeners[id]:
                del self._listeners[id]
                self._last.pop(id, None)

    async def _until_removed(self, id: str, listener: Listener) -> None:
        if (found := self._containers.get(id)) is not None:
            async with aclosing(self._containers.follow(found)) as changes:
                async for _ in changes:
                    pass
        listener.put(None)

    async def once(self, id: str) -> dict[str, Sample]:
        """A sample of one container, by its id; nothing when it does not run."""
        found = self._containers.get(id)
        return await self._read(found.node, (id,)) if found is not None else {}

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._listeners:
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())
            self._take()

    def _take(self) -> list[asyncio.Task[None]]:
        """Asks for samples; the questions."""
        by_node: dict[str, list[str]] = {}
        for id in self._listeners:
            found = self._containers.get(id)
            by_node.setdefault(found.node if found else "", []).append(id)
        asked = {node: tuple(ids) for node, ids in by_node.items() if node not in self._asked}
        return [self._tasks.start(self._ask(node, ids), "ask") for node, ids in asked.items()]

    async def _ask(self, node: str, ids: tuple[str, ...]) -> None:
        self._asked.add(node)
        try:
            samples = await self._read(node, ids)
        except ShoalError as error:  # its node is away for a moment: this second has no figures
            log.info("no usage figures of node %s: %s", node or "(own)", error)
            return
        finally:
            self._asked.discard(node)
        for id in ids:
            listeners = self._listeners.get(id, set())
            if listeners and id in samples:
                self._last[id] = samples[id]
            for listener in listeners:
                listener.put(samples.get(id))

    async def close(self) -> None:
        await self._tasks.close()
