"""Passes of trees between two services over a stream."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain

import msgspec

from shared.contracts.common import StreamOffer
from shared.contracts.trees import SyncOutRequest, SyncReply
from shared.errors import (
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    ShoalError,
    Unavailable,
    from_kind,
)
from shared.streams import Channel, Streams
from shared.streams.streams import ServeStream
from shared.tasks import TaskGroup

from .source import TreeSource
from .target import TreeTarget

log = logging.getLogger(__name__)

KEPT_SECONDS = 600.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Answer(msgspec.Struct, omit_defaults=True):
    bytes: int = 0
    kind: str = ""
    message: str = ""


class Passing:
    """The trees that a service sends; one pass of a tree at a time."""

    def __init__(self, streams: Streams, tasks: TaskGroup) -> None:
        self._streams, self._tasks = streams, tasks
        self._sources: dict[tuple[str, str], TreeSource] = {}
        self._kept: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def send(
        self, request: SyncOutRequest, root: str, offer: Callable[[], Awaitable[StreamOffer]], prefix: str = ""
    ) -> SyncReply:
        """One pass to the stream that is offered; nobody is called when nothing has changed since the last one.

        Raises what the other side says, `Unavailable` when it is gone.
        """
        key = (request.key, request.node)
        async with self._locks.setdefault(request.key, asyncio.Lock()):
            known = None if request.first else self._sources.get(key)
            source = known or TreeSource(root, prefix)
            self._forget(key)  # what it sent is only known again when this pass was answered
            pieces = source.changes(still=request.last)
            first = await _next(pieces)  # all of it, if little has changed
            alike = known is not None and not source.changed
            reply = SyncReply() if alike else await self._send(source, chain((first,), pieces), await offer())
            self._sources[key] = source
            self._kept[key] = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget, key)
        return reply

    def _forget(self, key: tuple[str, str]) -> None:
        self._sources.pop(key, None)
        timer = self._kept.pop(key, None)
        if timer is not None:
            timer.cancel()

    def end(self, key: str) -> None:
        """Nothing of this tree will be sent any more."""
        for each in [pair for pair in self._sources if pair[0] == key]:
            self._forget(each)
        if key in self._locks and not self._locks[key].locked():
            del self._locks[key]

    async def _send(self, source: TreeSource, pieces: Iterator[bytes], offer: StreamOffer) -> SyncReply:
        channel = await self._streams.take(offer)
        try:
            return await self._over(channel, source, pieces)
        finally:  # however this ends, the other side must not wait for more
            channel.close()

    async def _over(self, channel: Channel, source: TreeSource, pieces: Iterator[bytes]) -> SyncReply:
        answering = self._tasks.start(_read_all(channel), "tree answer")
        sent = 0
        try:
            while not answering.done() and (piece := await _next(pieces)):
                sent += len(piece)
                await channel.write(piece)
            await channel.write_eof()
        except ConnectionError as error:
            log.debug("a tree's receiver stopped reading: %r", error)
        except FailedPrecondition:
            answering.cancel()
            raise
        answer = await answering
        if answer.kind:
            raise from_kind(answer.kind, answer.message)
        return SyncReply(bytes=sent, changed=source.changed)

    def receiver(self, root: str, last: bool, prefix: str = "") -> ServeStream:
        """What serves an offered stream: a pass comes in."""

        async def receive(channel: Channel) -> None:
            try:
                answer = _Answer(bytes=await _receive(channel, root, last, prefix))
            except ShoalError as error:
                answer = _Answer(kind=error.kind, message=error.message)
            await channel.write(msgspec.json.encode(answer))
            await channel.write_eof()

        return receive


async def _next(pieces: Iterator[bytes]) -> bytes:
    """The next piece, b"" at the end."""
    try:
        return await asyncio.to_thread(lambda: next(pieces, b""))
    except OSError as error:
        raise FailedPrecondition(f"cannot read what is to be sent: {error}") from None


async def _read_all(channel: Channel) -> _Answer:
    body = b""
    try:
        while data := await channel.read():
            body += data
        return msgspec.json.decode(body, type=_Answer)
    except (ConnectionError, msgspec.DecodeError):
        return _Answer(kind=Unavailable.kind, message="the host that receives the files is gone")


async def _receive(channel: Channel, root: str, last: bool, prefix: str) -> int:
    try:
        target = await asyncio.to_thread(TreeTarget, root, last, prefix)
        try:
            while data := await channel.read():
                if await asyncio.to_thread(target.feed, data):
                    return target.received
        finally:
            await asyncio.to_thread(target.close)
    except ConnectionError:
        raise Unavailable("the host that sends the files is gone") from None
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceExhausted(f"no space left for the files that come: {error.strerror}") from None
        raise DataLoss(f"cannot write the files that come: {error}") from None
    except (ValueError, OverflowError) as error:  # a number that no file has, a name with a zero byte
        raise InvalidArgument(f"no tree has such files: {error}") from None
    raise Unavailable("the files broke off")
