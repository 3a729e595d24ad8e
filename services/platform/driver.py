"""The engine's own migration driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.contracts import migration_driver as contract
from shared.contracts.base import Empty
from shared.contracts.common import Ref
from shared.contracts.moving import Peer
from shared.errors import FailedPrecondition

from .adapters.linux import Linux


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Before the switch: what this host lacks (room, above all) is why a container stays, and no defect of the engine.

    Not for `resume`, where that may be had later.
    """
    try:
        yield
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        raise FailedPrecondition(f"container {name} cannot be moved: {error.strerror or error}{place}") from None


class CriuDriver:
    """criu takes the processes along, our movers their memory."""

    def __init__(self, linux: Linux) -> None:
        self._linux = linux

    async def migratable(self, request: contract.MigratableRequest) -> contract.MoveFacts:
        return await self._linux.migratable(request)

    async def receive(self, request: contract.ReceiveRequest) -> Peer:
        with _in_words(request.request.id):
            return await self._linux.arrivals.receive(request)

    async def precopy(self, request: contract.PrecopyRequest) -> contract.PrecopyReply:
        with _in_words(request.id):
            return await self._linux.departures.precopy(request)

    async def freeze(self, request: Ref) -> contract.FreezeReply:
        with _in_words(request.id):
            return contract.FreezeReply(frozen_at=await self._linux.departures.freeze(request.id))

    async def dump(self, request: Ref) -> contract.DumpReply:
        with _in_words(request.id):
            return await self._linux.departures.dump(request.id)

    async def restore(self, request: Ref) -> contract.RestoreReply:
        with _in_words(request.id):
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
