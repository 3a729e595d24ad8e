"""Streams across hosts: numbered frames over the bus, with credits.

Each direction has a subject. The broker drops what a slow consumer does not take, and forgets what is under way
when it dies; so the reader grants credits, and the writer keeps each frame until it was received and sends it
again after a break.

The taker asks on `shoal.v1.streams.<service>.<node>.<id>.ctl` with the ticket, a blank and a token of its own;
then the subjects are `shoal.v1.streams.<service>.<node>.<token>.<in|out>`. On these a message is a letter, two
numbers of 8 bytes (big endian) and data: `d` number of the frame, 0, data; `e` the same without data: the end of
the direction; `c` frames received, frames taken; `k` the same, and send me what I lack; `a` the end of both.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable

from shared.bus import Bus, Delivery, Subscription
from shared.contracts.base import ROOT
from shared.contracts.common import StreamOffer
from shared.errors import NotFound, ShoalError
from shared.ids import new_token
from shared.streams.channel import CHUNK, Channel
from shared.streams.frames import FRAME_HEADER
from shared.streams.window import Incoming, Outgoing
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

FRAME_BYTES = 64 << 10
SILENCE_SECONDS = 60.0
"""A side that hears nothing for so long (keep-alives come every third of it) takes the stream for broken."""

ServeStream = Callable[[Channel], Awaitable[None]]
_HEAD = struct.Struct(">cQQ")
_DATA, _END, _CREDIT, _LACK, _ABORT = b"d", b"e", b"c", b"k", b"a"


class RemoteChannel:
    """One end. What it sends goes to `out_subject`; what comes is handed to `received` by its subscription."""

    def __init__(self, bus: Bus, out_subject: str) -> None:
        self.sock: socket.socket | None = None
        self._bus, self._out = bus, out_subject
        self._outgoing, self._incoming = Outgoing(), Incoming()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: an end, good or bad
        self._changed = asyncio.Event()
        self._rest = b""
        self._ended = self._broken = self._finished = False
        self._asked = -1
        self._tasks = TaskGroup("remote stream")
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] = lambda: None
        self._heard = asyncio.get_running_loop().time()

    async def open(self, in_subject: str) -> None:
        self._subscription = await self._bus.transport.subscribe(in_subject, self._received)
        self._forget = self._bus.transport.on_reconnect(lambda: self._start(self._repeat))
        self._tasks.start(self._keep_alive(), "keep alive")

    def _start(self, work: Callable[..., Awaitable[None]], *arguments: bytes) -> None:
        async def attempt() -> None:
            try:
                await work(*arguments)
            except ShoalError as error:
                log.warning("stream %s: %s", self._out, error)

        self._tasks.start(attempt(), "send")

    async def _keep_alive(self) -> None:
        """A peer that died cannot say so: its silence does."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._heard < SILENCE_SECONDS:
            await asyncio.sleep(SILENCE_SECONDS / 3)
            self._start(self._tell, _LACK)  # one that cannot be sent is no reason to listen for ever
        self._break()

    def depend(self, service: str, node: str) -> None:
        """A new instance of the service there means that the one at the other end is gone."""
        forget, forget_started = self._forget, self._bus.on_started(service, self._break, node)

        def both() -> None:
            forget()
            forget_started()

        self._forget = both

    def _received(self, delivery: Delivery) -> None:
        if len(delivery.payload) < _HEAD.size:
            return
        self._heard = asyncio.get_running_loop().time()
        kind, first, second = _HEAD.unpack_from(delivery.payload)
        if kind in (_DATA, _END):
            self._frame(first, delivery.payload[_HEAD.size :] if kind == _DATA else None)
        elif kind == _ABORT:
            self._break()
        elif kind in (_CREDIT, _LACK):
            self._outgoing.told(first, second)
            self._changed.set()
            if kind == _LACK:
                self._start(self._send_missing)

    def _frame(self, number: int, data: bytes | None) -> None:
        if self._incoming.accept(number):
            self._frames.put_nowait(data)
            if data is None:
                self._finished = True
                self._start(self._tell, _CREDIT)
        elif number > self._incoming.received and self._asked != self._incoming.received:
            self._asked = self._incoming.received
            self._start(self._tell, _LACK)

    def _break(self) -> None:
        """After the last frame this changes nothing for the reader."""
        self._broken = True
        self._frames.put_nowait(None)
        self._changed.set()

    async def _repeat(self) -> None:
        """After a break of the connection: both sides send what the other lacks."""
        await self._tell(_LACK)
        await self._send_missing()

    async def _send_missing(self) -> None:
        for number, frame in self._outgoing.missing():
            await self._send(frame[:1], number, 0, frame[1:])

    async def _tell(self, kind: bytes) -> None:
        await self._send(kind, *self._incoming.tell())

    async def _send(self, kind: bytes, first: int = 0, second: int = 0, data: bytes = b"") -> None:
        await self._bus.transport.publish(self._out, _HEAD.pack(kind, first, second) + data)

    async def read(self, limit: int = CHUNK) -> bytes:
        if not self._rest and not self._ended:
            data = await self._frames.get()
            self._ended = data is None
            self._rest = data or b""
            if self._incoming.take() and not self._ended:
                await self._tell(_CREDIT)
        if self._ended and not self._finished:
            raise ConnectionResetError("the other end of the stream is gone")
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        return taken

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), FRAME_BYTES):
            while not self._outgoing.has_room and not self._broken:
                self._changed.clear()
                await self._changed.wait()
            await self._add(_DATA, data[start : start + FRAME_BYTES])

    async def write_frame(self, stream: int, payload: bytes) -> None:
        await self.write(FRAME_HEADER.pack(stream, len(payload)) + payload)

    async def write_eof(self) -> None:
        await self._add(_END, b"")

    async def _add(self, kind: bytes, data: bytes) -> None:
        if self._broken:
            raise ConnectionResetError("the other end of the stream is gone")
        await self._send(kind, self._outgoing.add(kind + data), 0, data)

    async def settled(self) -> None:
        """Returns when the other side has received all, or is gone."""
        while not self._outgoing.is_settled and not self._broken:
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        self._forget()
        self._break()
        self._tasks.start(self._leave(), "leave")

    async def _leave(self) -> None:
        try:
            await self._send(_ABORT)
        except ShoalError as error:
            log.warning("stream %s: %s", self._out, error)
        if self._subscription is not None:
            await self._subscription.drain()
        await self._tasks.close()


class RemoteServer:
    """The offering side: takers announce themselves on `...ctl`."""

    def __init__(self, bus: Bus, claim: Callable[[str], ServeStream | None]) -> None:
        self._bus, self._claim = bus, claim
        self._name = f"{bus.name}.{bus.node}"
        self._tasks = TaskGroup("remote streams")
        self._subscription: Subscription | None = None

    def stream_id(self, ticket: str) -> str:
        return f"{self._name}.{ticket[:8]}"

    async def open(self) -> None:
        subject = f"{ROOT}.streams.{self._name}.*.ctl"
        self._subscription = await self._bus.transport.subscribe(subject, self._taken)

    async def close(self) -> None:
        if self._subscription is not None:
            await self._subscription.drain()
        await self._tasks.close()

    @property
    def at_rest(self) -> bool:
        """Whether no stream is taken."""
        return not len(self._tasks)

    def _taken(self, delivery: Delivery) -> None:
        ticket, _, token = delivery.payload.decode("ascii", "replace").partition(" ")
        if delivery.reply and token.isalnum():
            stem = f"{ROOT}.streams.{self._name}.{token}"
            self._tasks.start(self._run(self._claim(ticket), stem, delivery.reply), "serve")

    async def _run(self, serve: ServeStream | None, stem: str, reply: str) -> None:
        if serve is None:
            return await self._bus.transport.publish(reply, b"gone")
        channel = RemoteChannel(self._bus, f"{stem}.out")
        await channel.open(f"{stem}.in")
        await self._bus.transport.publish(reply, b"ok")
        try:
            await serve(channel)
            await channel.write_eof()
            await channel.settled()
        except ConnectionError as error:
            log.debug("stream ended by its taker: %r", error)
        except ShoalError as error:
            log.warning("stream broken off: %s", error)
        finally:
            channel.close()


async def take_remote(bus: Bus, offer: StreamOffer) -> RemoteChannel:
    """The taking side. Raises `NotFound` when the offer has run out or was taken, `Unavailable`: nobody offers it."""
    server, token = offer.stream_id.rpartition(".")[0], new_token()
    stem = f"{ROOT}.streams.{server}.{token}"
    channel = RemoteChannel(bus, f"{stem}.in")
    await channel.open(f"{stem}.out")
    try:
        claim = f"{offer.ticket} {token}".encode()
        reply = await bus.request_raw(f"{ROOT}.streams.{offer.stream_id}.ctl", claim, patience=0)
        if reply.payload != b"ok":
            raise NotFound("the stream was taken already, or its offer has run out")
    except BaseException:
        channel.close()
        raise
    channel.depend(*server.split(".", 1))
    return channel
