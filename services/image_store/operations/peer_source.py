"""Blobs from other hosts' image stores: by ranges, from several at once, and behind them from a registry."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from shared.contracts.common import Descriptor
from shared.contracts.peers import PIECE_BYTES
from shared.digest import digest_of
from shared.errors import ShoalError
from shared.shielded import in_thread

from ..adapters.disk import full_disk_told
from ..adapters.registry_files import Sink
from ..domain import config
from ..domain.pieces import Piece, Pieces
from ..domain.registry_answers import RegistryError
from ..ports import ContentSource, Peers, Progress
from .pull_layers import first_error

log = logging.getLogger(__name__)

LANES = 2
"""Questions at once to each peer: while one answer is under way, the next is being read."""
AHEAD = 16
"""Pieces that may wait in memory for one that comes before them."""


class PeerSource:
    """`ports.ContentSource` of all peers that are known, those of `first` before the others."""

    def __init__(self, peers: Peers, first: Sequence[str] = ()) -> None:
        self._peers, self._first = peers, tuple(first)
        self._liars: set[str] = set()
        self.silent = False
        """Whether anybody did not answer the last question."""

    def _nodes(self) -> list[str]:
        return [node for node in dict.fromkeys((*self._first, *self._peers.known)) if node not in self._liars]

    async def fetch(self, blob: Descriptor, file: Path, told: Progress) -> None:
        """Goes on with what the file has. When what came of several is wrong, each is asked alone."""
        self.silent = False
        if not (nodes := self._nodes()):
            raise _nobody(blob)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            begin = os.fstat(descriptor).st_size
            sink = Sink(descriptor, begin if begin <= blob.size else 0)
            if sink.at != begin:
                sink.restart()
            await in_thread(sink.catch_up)  # it may be long, and needs the file open
            if not await _Fetching(self, self._peers, blob, sink, told).run(nodes):
                await self._one_by_one(nodes, blob, sink, told)
        finally:
            os.close(descriptor)

    async def _one_by_one(self, nodes: Sequence[str], blob: Descriptor, sink: Sink, told: Progress) -> None:
        """Somebody's bytes are wrong: whoever gives all of them right is believed, the others are not asked again."""
        for node in nodes:
            sink.restart()
            try:
                if await _Fetching(self, self._peers, blob, sink, told).run([node]):
                    return
            except RegistryError:
                continue  # it has gone
            log.warning("peer %s gives wrong bytes for %s", node, blob.digest)
            self._liars.add(node)
        sink.restart()
        raise _nobody(blob)

    async def small(self, blob: Descriptor) -> bytes:
        """Of the first that gives the right bytes. Raises `RegistryError` when nobody does."""
        if blob.size > config.LONGEST:
            raise RegistryError(f"blob {blob.digest} has {blob.size} bytes, at most {config.LONGEST}", again=False)
        self.silent = False
        for node in self._nodes():
            try:
                data = await self._whole(node, blob)
            except ShoalError as error:
                self.silent = True
                log.info("peer %s gives no %s: %s", node, blob.digest, error)
                continue
            if data is not None and digest_of(data) == blob.digest:
                return data
        raise _nobody(blob)

    async def _whole(self, node: str, blob: Descriptor) -> bytes | None:
        if not await self._peers.holds(node, blob.digest):
            return None
        data = b""
        while len(data) < blob.size:
            piece = await self._peers.read(node, blob.digest, len(data), min(PIECE_BYTES, blob.size - len(data)))
            if len(piece) != min(PIECE_BYTES, blob.size - len(data)):
                return None
            data += piece
        return data


class _Fetching:
    """One blob from a number of peers."""

    def __init__(self, source: PeerSource, peers: Peers, blob: Descriptor, sink: Sink, told: Progress) -> None:
        self._source, self._peers, self._blob, self._sink, self._told = source, peers, blob, sink, told
        self._pieces = Pieces(sink.at, blob.size, PIECE_BYTES, AHEAD)
        self._changed = asyncio.Condition()

    async def run(self, nodes: Sequence[str]) -> bool:
        """True when the file is the blob, False when it is whole but wrong. Raises `RegistryError` for one in part."""
        loop = asyncio.get_running_loop()
        work = [loop.create_task(self._peer(node), name=f"peer:{node}") for node in nodes]
        try:
            while work and not self._pieces.done:
                done, rest = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # what failed here is ours, a full disk for one
                work = list(rest)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        if not self._pieces.done:
            raise _nobody(self._blob)
        return self._sink.digest == self._blob.digest

    async def _peer(self, node: str) -> None:
        """Reads what this one has until all is here or it fails; whoever answers first begins."""
        try:
            if self._pieces.done or not await self._peers.holds(node, self._blob.digest):
                return
        except ShoalError as error:
            log.warning("peer %s does not say what it has: %s", node, error.message)
            self._source.silent = True
            return
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(LANES):
                    group.create_task(self._lane(node))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None

    async def _lane(self, node: str) -> None:
        while (piece := await self._next(node)) is not None:
            try:
                data = await self._peers.read(node, self._blob.digest, piece.offset, piece.length)
            except ShoalError as error:
                log.warning("peer %s is left while it gave %s: %s", node, self._blob.digest, error.message)
                self._source.silent = True
                return await self._leave(node)
            if len(data) != piece.length:
                log.warning("peer %s gave %d bytes of %s, not %d", node, len(data), self._blob.digest, piece.length)
                return await self._leave(node)
            await self._take(piece.offset, data)
        return None

    async def _next(self, node: str) -> Piece | None:
        """What to ask for; None: nothing is left."""
        async with self._changed:
            while (piece := self._pieces.take(node)) is None and not self._pieces.done:
                await self._changed.wait()
            return piece

    async def _take(self, offset: int, data: bytes) -> None:
        async with self._changed:
            ready = self._pieces.came(offset, data)
            with full_disk_told():
                for each in ready:
                    self._sink.take(each)
            if ready:
                await self._told(self._sink.at)
            self._changed.notify_all()

    async def _leave(self, node: str) -> None:
        async with self._changed:
            self._pieces.give_back(node)
            self._changed.notify_all()


class Sources:
    """Peers, and behind them, where there is one, a registry: it goes on where they stopped."""

    def __init__(self, peers: PeerSource, registry: ContentSource | None = None) -> None:
        self._peers, self._registry = peers, registry

    async def fetch(self, blob: Descriptor, file: Path, told: Progress) -> None:
        try:
            return await self._peers.fetch(blob, file, told)
        except RegistryError as error:
            if self._registry is None:
                raise
            log.debug("%s", error)
        return await self._registry.fetch(blob, file, told)

    async def small(self, blob: Descriptor) -> bytes:
        try:
            return await self._peers.small(blob)
        except RegistryError:
            if self._registry is None:
                raise
        return await self._registry.small(blob)


def _nobody(blob: Descriptor) -> RegistryError:
    return RegistryError(f"no other image store gives {blob.digest}", name="BLOB_UNKNOWN", again=False)
