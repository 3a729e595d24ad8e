"""Streams across hosts: frames over the bus, with credits.

Each direction has a subject; the reader grants credits, the writer spends one for each frame of at most
64 KiB and waits when it has none, so that a slow reader never loses anything (the broker drops what a slow
consumer does not take). An empty frame ends a direction. Subjects: `shoal.v1.streams.<id>.<in|out|credit|ctl>`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from shared.bus import Bus, Delivery, Subscription
from shared.contracts.base import ROOT
from shared.contracts.common import StreamOffer
from shared.errors import NotFound
from shared.streams.channel import CHUNK, Channel
from shared.streams.frames import FRAME_HEADER
from shared.tasks import TaskGroup

FRAME_BYTES = 64 << 10
WINDOW = 16
SILENCE_SECONDS = 60.0
"""A side that hears nothing for so long (keep-alives come every third of it) takes the stream for broken."""

ServeStream = Callable[[Channel], Awaitable[None]]
_DATA, _CREDIT, _END, _ABORT, _ALIVE = b"d", b"c", b"e", b"a", b"k"


class RemoteChannel:
    """One end. What it sends goes to `out_subject`; what comes is handed to `received` by its subscription."""

    def __init__(self, bus: Bus, out_subject: str) -> None:
        self.sock: socket.socket | None = None
        self._bus, self._out = bus, out_subject
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._credits = asyncio.Semaphore(WINDOW)
        self._rest = b""
        self._ended = self._broken = False
        self._tasks = TaskGroup("remote stream")
        self._subscription: Subscription | None = None
        self._heard = asyncio.get_running_loop().time()

    async def open(self, in_subject: str) -> None:
        self._subscription = await self._bus.transport.subscribe(in_subject, self._received)
        self._tasks.start(self._keep_alive(), "keep alive")

    async def _keep_alive(self) -> None:
        """A peer that died cannot say so: its silence does."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._heard < SILENCE_SECONDS:
            await self._send(_ALIVE)
            await asyncio.sleep(SILENCE_SECONDS / 3)
        self._break()

    def _received(self, delivery: Delivery) -> None:
        self._heard = asyncio.get_running_loop().time()
        kind, data = delivery.payload[:1], delivery.payload[1:]
        if kind == _DATA:
            self._frames.put_nowait(data)
        elif kind == _CREDIT:
            self._credits.release()
        elif kind == _END:
            self._frames.put_nowait(b"")
        elif kind == _ABORT:
            self._break()

    def _break(self) -> None:
        self._broken = True
        self._frames.put_nowait(b"")
        self._credits.release()

    async def _send(self, kind: bytes, data: bytes = b"") -> None:
        await self._bus.transport.publish(self._out, kind + data)

    async def read(self, limit: int = CHUNK) -> bytes:
        if not self._rest and not self._ended:
            self._rest = await self._frames.get()
            if self._rest:
                await self._send(_CREDIT)
            else:
                self._ended = True
                if self._broken:
                    raise ConnectionResetError("the other end of the stream is gone")
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        return taken

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), FRAME_BYTES):
            await self._credits.acquire()
            if self._broken:
                self._credits.release()
                raise ConnectionResetError("the other end of the stream is gone")
            await self._send(_DATA, data[start : start + FRAME_BYTES])

    async def write_frame(self, stream: int, payload: bytes) -> None:
        await self.write(FRAME_HEADER.pack(stream, len(payload)) + payload)

    async def write_eof(self) -> None:
        await self._send(_END)

    def close(self) -> None:
        self._tasks.start(self._leave(), "leave")

    async def _leave(self) -> None:
        await self._send(_ABORT)
        if self._subscription is not None:
            await self._subscription.drain()
        await self._tasks.close()


class RemoteServer:
    """The offering side: takers announce themselves on `shoal.v1.streams.<id>.ctl`."""

    def __init__(self, bus: Bus, claim: Callable[[str], ServeStream | None]) -> None:
        self._bus, self._claim = bus, claim
        self._name = f"{bus.name}.{bus.node}"
        self._tasks = TaskGroup("remote streams")

    def stream_id(self, ticket: str) -> str:
        return f"{self._name}.{ticket[:8]}"

    async def open(self) -> None:
        await self._bus.transport.subscribe(f"{ROOT}.streams.{self._name}.*.ctl", self._taken)

    async def close(self) -> None:
        await self._tasks.close()

    def _taken(self, delivery: Delivery) -> None:
        ticket = delivery.payload.decode("ascii", "replace")
        serve = self._claim(ticket)
        if delivery.reply:
            self._tasks.start(self._run(serve, delivery.subject.removesuffix(".ctl"), delivery.reply), "serve")

    async def _run(self, serve: ServeStream | None, stem: str, reply: str) -> None:
        if serve is None:
            return await self._bus.transport.publish(reply, b"gone")
        channel = RemoteChannel(self._bus, f"{stem}.out")
        await channel.open(f"{stem}.in")
        await self._bus.transport.publish(reply, b"ok")
        try:
            await serve(channel)
            await channel.write_eof()
        finally:
            channel.close()


async def take_remote(bus: Bus, offer: StreamOffer) -> RemoteChannel:
    """The taking side. Raises `NotFound` when the offer has run out or was taken."""
    stem = f"{ROOT}.streams.{offer.stream_id}"
    channel = RemoteChannel(bus, f"{stem}.in")
    await channel.open(f"{stem}.out")
    reply = await bus.request_raw(f"{stem}.ctl", offer.ticket.encode(), patience=0)
    if reply.payload != b"ok":
        channel.close()
        raise NotFound("the stream was taken already, or its offer has run out")
    return channel
