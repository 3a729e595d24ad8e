"""Streams from host to host beside the broker: TCP with TLS 1.3, for bulk.

The server listens on a port that the kernel gives, at the address of its host in the cluster, from its first offer on.
The taker connects, both prove by certificate that they are of the cluster, the taker sends the ticket (32 ASCII bytes)
and gets one byte back: the stream begins. Each direction is blocks, a length (4 bytes, big endian) before each; a
length of zero ends the direction. A connection that ends before that was cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from shared import cluster, mutual_tls
from shared.contracts.common import StreamOffer
from shared.errors import NotFound, ShoalError, Unavailable
from shared.streams.channel import CHUNK, Channel
from shared.streams.frames import FRAME_HEADER
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

TICKET_BYTES = 32
JOIN_SECONDS = 10.0
"""For connection, handshake and ticket together."""
BUFFER_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")
_TAKEN = b"\x01"
ServeStream = Callable[[Channel], Awaitable[None]]


class DirectChannel:
    """One end of a direct stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sock: socket.socket | None = None
        self._reader, self._writer = reader, writer
        self._left = 0
        self._ended = False

    async def read(self, limit: int = CHUNK) -> bytes:
        with _broken():
            while not self._left and not self._ended:
                (self._left,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                self._ended = not self._left
            if self._ended:
                return b""
            data = await self._reader.read(min(limit, self._left))
        if not data:
            raise ConnectionResetError("the other end of the stream is gone")
        self._left -= len(data)
        return data

    async def write(self, data: bytes) -> None:
        if data:
            await self._send(_LENGTH.pack(len(data)), data)

    async def write_frame(self, stream: int, payload: bytes) -> None:
        await self.write(FRAME_HEADER.pack(stream, len(payload)) + payload)

    async def write_eof(self) -> None:
        await self._send(_LENGTH.pack(0))

    async def _send(self, *parts: bytes) -> None:
        with _broken():
            self._writer.writelines(parts)
            await self._writer.drain()

    async def settled(self) -> None:
        """Returns when the other end has closed: bytes that nobody reads would cut off what it has not read yet."""
        with contextlib.suppress(ConnectionError):
            while await self.read():
                pass
            with _broken():
                await self._reader.read(1)

    def close(self) -> None:
        """What was written before still goes out."""
        self._writer.close()


@contextlib.contextmanager
def _broken() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError) as error:
        raise ConnectionResetError(f"the other end of the stream is gone: {error}") from None


class DirectServer:
    """The offering side; `claim` gives what an offered ticket stands for, once."""

    def __init__(self, state_path: Path, claim: Callable[[str], ServeStream | None]) -> None:
        self._state_path, self._claim = state_path, claim
        self._tasks = TaskGroup("direct streams")
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._certificate = 0
        self._opening = asyncio.Lock()

    async def address(self) -> str:
        """Where others connect, `host:port`; it listens when this returns. Empty: this host is in no cluster."""
        membership = cluster.load(self._state_path)
        if membership is None:
            return ""
        host = cluster.Place.parse(membership.address).host
        async with self._opening:
            self._renew()
            if self._server is None:
                self._server = await self._listen(host)
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    def _renew(self) -> None:
        """Shows the certificate that there is now: it is renewed while this listens."""
        files = cluster.folder(self._state_path)
        written = (files / "node.crt").stat().st_mtime_ns
        if self._context is None:
            self._context = mutual_tls.server(files)
        elif written != self._certificate:
            self._context.load_cert_chain(files / "node.crt", files / "node.key")
        self._certificate = written

    async def _listen(self, host: str) -> asyncio.Server:
        return await asyncio.start_server(
            self._connected,
            host.strip("[]"),
            0,
            ssl=self._context,
            ssl_handshake_timeout=JOIN_SECONDS,
            limit=BUFFER_BYTES,
        )

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.start(self._serve(reader, writer), "stream")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                ticket = await reader.readexactly(TICKET_BYTES)
            serve = self._claim(ticket.decode("ascii", "replace"))
            if serve is None:
                return
            _tune(writer)
            writer.write(_TAKEN)
            await _run(serve, DirectChannel(reader, writer))
        except (OSError, EOFError, TimeoutError) as error:
            log.debug("direct stream ended by its taker: %r", error)
        except ShoalError as error:
            log.warning("direct stream broken off: %s", error)
        finally:
            writer.transport.abort()

    @property
    def at_rest(self) -> bool:
        """Whether no stream is taken."""
        return not len(self._tasks)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._tasks.close()


async def _run(serve: ServeStream, channel: DirectChannel) -> None:
    await serve(channel)
    await channel.write_eof()
    await channel.settled()


def _tune(writer: asyncio.StreamWriter) -> None:
    """Waits with small writes for nothing, and finds out when the peer is gone."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mutual_tls.notice_loss(connection)


async def take_direct(state_path: Path, offer: StreamOffer, node: str) -> DirectChannel:
    """The taking side: the host that answers must be `node`.

    Raises `NotFound` when the offer has run out or was taken, `Unavailable` when nobody of the cluster answers there.
    """
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            return await _join(mutual_tls.client(cluster.folder(state_path)), offer, node)
    except (OSError, EOFError, TimeoutError) as error:
        raise Unavailable(f"stream at {offer.address}: {error or 'no answer'}") from None


async def _join(context: ssl.SSLContext, offer: StreamOffer, node: str) -> DirectChannel:
    host, _, port = offer.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context, limit=BUFFER_BYTES)
    try:
        if (named := mutual_tls.node_of(writer.get_extra_info("peercert"))) != node:
            raise Unavailable(f"stream at {offer.address}: node {named} is there, not {node}")
        _tune(writer)
        writer.write(offer.ticket.encode())
        if await reader.read(1) != _TAKEN:
            raise NotFound("the stream was taken already, or its offer has run out")
    except BaseException:
        writer.transport.abort()
        raise
    return DirectChannel(reader, writer)
