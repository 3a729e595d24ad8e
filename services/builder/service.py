"""The builder's endpoints."""

from __future__ import annotations

import asyncio

from shared.contracts import builder as contract
from shared.contracts.base import Empty
from shared.contracts.common import PruneReport, StreamOffer
from shared.service import Kernel
from shared.streams import Channel


class BuilderService:
    """See `shared.contracts.builder`; every method is one of its endpoints.

    What builds need is imported by the first of them: an idle builder stays small.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._running: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Removes what builds that a crash ended have left."""
        from .operations.recover import recover

        await recover(self._kernel)

    async def build(self, request: contract.BuildRequest) -> StreamOffer:
        from .operations.build import serve

        async def run(channel: Channel) -> None:
            await serve(self._kernel, request, channel, self._running)

        return self._kernel.streams.offer(run, framed=False)

    async def cancel(self, request: contract.CancelRequest) -> Empty:
        task = self._running.get(request.id)
        if task is not None:
            task.cancel()
        return Empty()

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        return PruneReport()

    async def usage(self, request: Empty) -> contract.UsageReply:
        return contract.UsageReply()

    async def close(self) -> None:
        """Builds under way end as if their clients had left: nothing of them stays."""
        for task in tuple(self._running.values()):
            task.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running.values()))
