"""The builder's endpoints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.clock import now_ns
from shared.contracts import builder as contract
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent, PruneReport, StreamOffer
from shared.service import Kernel
from shared.streams import Channel

if TYPE_CHECKING:
    from .operations.build import Running


class BuilderService:
    """See `shared.contracts.builder`; every method is one of its endpoints.

    What builds need is imported by the first of them: an idle builder stays small.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._running: Running | None = None

    async def start(self) -> None:
        """Removes what builds that a crash ended have left."""
        from .operations.recover import recover

        await recover(self._kernel)

    def at_rest(self) -> bool:
        """Whether another process may take over unnoticed: nothing is built."""
        return self._running is None or not self._running.builds

    async def build(self, request: contract.BuildRequest) -> StreamOffer:
        from .operations.build import Running, serve

        running = self._running = self._running or Running()

        async def run(channel: Channel) -> None:
            await serve(self._kernel, request, channel, running)

        return self._kernel.streams.offer(run, framed=False)

    async def cancel(self, request: contract.CancelRequest) -> Empty:
        task = self._running.builds.get(request.id) if self._running else None
        if task is not None:
            task.cancel()
        return Empty()

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        from .operations.caches import prune

        done = await prune(self._kernel, request, lambda: self._running is not None and bool(self._running.busy))
        event = DockerEvent(type="builder", action="prune", actor="", attributes={"reclaimed": str(done.bytes_freed)},
                            time_ns=now_ns())  # fmt: skip
        self._kernel.bus.emit(contract.BUILDER_EVENT, event, suffix="prune")
        return done

    async def usage(self, request: Empty) -> contract.UsageReply:
        from .operations.caches import usage

        return await usage(self._kernel)

    async def close(self) -> None:
        """Builds under way end as if their clients had left: nothing of them stays."""
        tasks = tuple(self._running.builds.values()) if self._running else ()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
