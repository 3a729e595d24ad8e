"""Clients attached to workloads, those included that come before their workload is made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Protocol

from shared.contracts.executor import AttachRequest
from shared.streams import Channel
from shared.tasks import TaskGroup

from . import attach
from .workload import Watched

log = logging.getLogger(__name__)
Joined = tuple[Watched, socket.socket]
"""A workload and a connection to its monitor."""
OFFER_SECONDS = 31.0
"""A stream that was not taken by then (`shared.streams` allows 30) never will be."""
TELL_SECONDS = 5.0
"""How long the end of a stream waits for a broker that is away."""
TAKE_SECONDS = 10.0
"""How long a start waits for a client that was offered a stream and has not taken it yet: what is written before it has
joined it would never see. A slow host takes its time; that a gateway is gone is told (`gone`)."""


class Attachments:
    """`docker run` attaches before it starts: a client waits here until its workload's monitor is up."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[_Client]] = {}
        self._offered: dict[str, set[asyncio.Event]] = {}
        self._tasks = TaskGroup("attachments")

    def offered(self, workload: str) -> Callable[[], None]:
        """Notes that a stream was offered before the start; call what it returns when the stream is taken."""
        event = asyncio.Event()
        self._offered.setdefault(workload, set()).add(event)
        return event.set

    def gone(self) -> None:
        """A gateway was started anew: who took streams by the one before does so no more."""
        for event in chain.from_iterable(self._offered.values()):
            event.set()

    async def wait(self, workload: str) -> Joined | None:
        """Waits for the workload's monitor and joins it before the start; None when it will not be made."""
        client = _Client()
        self._waiting.setdefault(workload, set()).add(client)
        try:
            return await client.joined
        finally:
            self._waiting.get(workload, set()).discard(client)

    async def join(self, workload: Watched) -> None:
        """Joins all that wait with the monitor. Called before the workload is started, so that no byte is lost."""
        offered = self._offered.get(workload.record.id, set())
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                for event in tuple(offered):
                    await event.wait()
        except TimeoutError:
            log.warning("%s starts without a client that was offered its streams", workload.record.id)
        self._offered.pop(workload.record.id, None)
        for client in self._waiting.pop(workload.record.id, set()):
            if not client.joined.done():
                client.joined.set_result(joined(workload))
        await workload.joined()

    def dismiss(self, workload: str) -> None:
        """Lets those go who wait for a workload that was not made."""
        self._offered.pop(workload, None)
        for client in self._waiting.pop(workload, set()):
            if not client.joined.done():
                client.joined.set_result(None)

    def keep(self, running: Watched, streams: Streams, stdin: bool) -> Callable[[Channel], Awaitable[None]]:
        """What serves an exec's streams, which are there already; a stream that nobody takes is drained."""
        loop = asyncio.get_running_loop()
        unwanted = loop.call_later(OFFER_SECONDS, lambda: self._tasks.start(streams.discard(), "drain"))

        async def serve(channel: Channel) -> None:
            unwanted.cancel()
            await streams.serve(channel, stdin)
            await _known(running)

        return serve

    def discard(self, streams: Streams) -> None:
        """Output that nobody asked for."""
        self._tasks.start(streams.discard(), "discard")

    def monitored(self, running: Watched, connection: socket.socket) -> Streams:
        """The streams of an exec that has a monitor of its own, joined already."""
        return _Monitored(self, running, connection)

    async def serve(
        self, channel: Channel, workload: Watched, connection: socket.socket, request: AttachRequest
    ) -> None:
        """Moves bytes between client and monitor until all has ended and is known, or the client is gone."""
        record = workload.record
        output = attach.Output(connection, not record.tty, request.stdout, request.stderr or record.tty)
        feeding = self._tasks.start(_feed(channel, connection), "stdin") if request.stdin else None
        try:
            await output.run(channel)
        except ConnectionError:
            await self._left(workload, connection, output, request)
            raise
        finally:
            if feeding is not None:
                feeding.cancel()
        connection.close()
        await _known(workload)

    async def _left(
        self, workload: Watched, connection: socket.socket, output: attach.Output, request: AttachRequest
    ) -> None:
        """The client went first. A connection whose end would close another client's input is kept and drained."""
        record = workload.record
        if record.stdin and record.stdin_once and not record.tty and not request.stdin:
            self._tasks.start(_drain(connection, output), "drain")
        else:
            connection.close()

    async def close(self) -> None:
        await self._tasks.close()


def joined(workload: Watched) -> Joined | None:
    """A connection to the monitor; None when it is just ending."""
    try:
        return workload, workload.join()
    except OSError:
        return None


class Streams(Protocol):
    """An exec's streams; one of the two is called, once."""

    async def serve(self, channel: Channel, stdin: bool) -> None:
        """Moves bytes between client and program until the output has ended. `ConnectionError`: the client is gone."""

    async def discard(self) -> None:
        """Keeps the program from being held up by output that nobody wants."""


class _Monitored:
    def __init__(self, attachments: Attachments, running: Watched, connection: socket.socket) -> None:
        self._attachments, self._running, self._connection = attachments, running, connection

    async def serve(self, channel: Channel, stdin: bool) -> None:
        request = AttachRequest(id=self._running.record.id, stdin=stdin, stdout=True, stderr=True, stream=True)
        await self._attachments.serve(channel, self._running, self._connection, request)

    async def discard(self) -> None:
        await _drain(self._connection, attach.Output(self._connection, framed=False))


class _Client:
    def __init__(self) -> None:
        self.joined: asyncio.Future[Joined | None] = asyncio.get_running_loop().create_future()


async def _known(workload: Watched) -> None:
    """Who sees the end of the stream asks for the exit code next: the stream ends when that was told."""
    await asyncio.wait((workload.ended,))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TELL_SECONDS):
            await workload.known.wait()


async def _feed(channel: Channel, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the workload ended first, or the client broke off: both are no failure
        await attach.feed(channel, connection)


async def _drain(connection: socket.socket, output: attach.Output) -> None:
    try:
        await output.discard()
    finally:
        connection.close()
