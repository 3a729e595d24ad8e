"""The image stores of other hosts, over the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from shared.bus import Bus
from shared.contracts import peers as contract
from shared.errors import ShoalError
from shared.tasks import TaskGroup

PATIENCE = 3.0
"""Seconds within which a host has to answer to be found."""


class BusPeers:
    """Who they are is asked by the broker's discovery. Who did not answer the last time is forgotten."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._known: dict[str, None] = {}
        self._tasks = TaskGroup("peers")
        self._looking: asyncio.Task[None] | None = None

    @property
    def known(self) -> tuple[str, ...]:
        return tuple(self._known)

    def look(self) -> asyncio.Task[None]:
        if self._looking is None or self._looking.done():
            self._looking = self._tasks.start(self._look(), "look")
        return self._looking

    async def _look(self) -> None:
        try:
            found = await self._bus.nodes_of("image_store", PATIENCE, lambda node: self.learn((node,)))
        except ShoalError:
            return  # without a broker there are none
        self._known = {node: None for node in self._known if node in found}

    def learn(self, nodes: Iterable[str]) -> None:
        self._known |= {node: None for node in nodes if node and node != self._bus.node}

    async def holds(self, node: str, digest: str) -> bool:
        reply = await self._bus.call(contract.HOLDS, contract.HoldsRequest(digests=(digest,)), node)
        return digest in reply.digests

    async def read(self, node: str, digest: str, offset: int, length: int) -> bytes:
        request = contract.ReadRequest(digest=digest, offset=offset, length=length)
        return (await self._bus.call(contract.READ, request, node)).data

    async def close(self) -> None:
        await self._tasks.close()
