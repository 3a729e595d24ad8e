"""The engine's own migration driver."""

from __future__ import annotations

from shared.contracts import migration_driver as contract
from shared.contracts.base import Empty
from shared.contracts.common import Ref
from shared.contracts.moving import Peer

from .adapters.linux import Linux


class CriuDriver:
    """criu takes the processes along, our movers their memory."""

    def __init__(self, linux: Linux) -> None:
        self._linux = linux

    async def migratable(self, request: contract.MigratableRequest) -> contract.MoveFacts:
        return await self._linux.migratable(request)

    async def receive(self, request: contract.ReceiveRequest) -> Peer:
        return await self._linux.arrivals.receive(request)

    async def precopy(self, request: contract.PrecopyRequest) -> contract.PrecopyReply:
        return await self._linux.departures.precopy(request)

    async def freeze(self, request: Ref) -> contract.FreezeReply:
        return contract.FreezeReply(frozen_at=await self._linux.departures.freeze(request.id))

    async def dump(self, request: Ref) -> contract.DumpReply:
        return await self._linux.departures.dump(request.id)

    async def restore(self, request: Ref) -> contract.RestoreReply:
        return contract.RestoreReply(restore_ns=await self._linux.arrivals.restore(request.id))

    async def resume(self, request: Ref) -> contract.ResumeReply:
        return await self._linux.arrivals.resume(request.id)

    async def settle(self, request: Ref) -> contract.SettleReply:
        return contract.SettleReply(bytes=await self._linux.arrivals.settle(request.id))

    async def discard(self, request: Ref) -> Empty:
        await self._linux.departures.discard(request.id)
        return Empty()

    async def thaw(self, request: Ref) -> Empty:
        await self._linux.departures.thaw(request.id)
        return Empty()

    async def abandon(self, request: Ref) -> Empty:
        await self._linux.arrivals.abandon(request.id)
        return Empty()
