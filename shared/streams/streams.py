"""Offering and taking streams."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from shared import cluster, telemetry
from shared.bus import Bus
from shared.contracts.common import StreamOffer
from shared.errors import ShoalError, Unavailable
from shared.ids import new_token
from shared.streams.channel import Channel, LocalChannel, ServedChannel
from shared.streams.direct import DirectServer, take_direct
from shared.streams.remote import RemoteServer, take_remote
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

TICKET_BYTES = 32
OFFER_SECONDS = 30.0
BUFFER_BYTES = 1 << 20
ACCEPT_PAUSE = 0.1
ServeStream = Callable[[Channel], Awaitable[None]]


class Streams:
    """A service's streams: one unix socket `<run_dir>/streams/<name>.sock` (0600) for all of them."""

    def __init__(self, bus: Bus, directory: Path, name: str, state_path: Path) -> None:
        """`state_path`: where this host's membership in a cluster is kept, if it is in one."""
        self._bus, self._state_path = bus, state_path
        self._path = directory / f"{name}.sock"
        self._offers: dict[str, tuple[ServeStream, asyncio.TimerHandle]] = {}
        self._remote = RemoteServer(bus, self._claim)
        self._direct = DirectServer(state_path, self._claim)
        self._tasks = TaskGroup(f"streams:{name}")
        self._listener: socket.socket | None = None

    async def open(self) -> None:
        """Listens; a socket left by a predecessor is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o710)
        temporary = self._path.with_suffix(f".{os.getpid()}")
        temporary.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(str(temporary))
        os.chmod(temporary, 0o600)
        listener.listen(1024)
        os.rename(temporary, self._path)  # in one step: callers never see a name that nobody listens on
        self._listener = listener
        self._tasks.start(self._accept(listener), "accept")
        await self._remote.open()

    async def close(self) -> None:
        await self._remote.close()
        await self._direct.close()
        await self._tasks.close()
        if self._listener is not None:
            self._listener.close()

    @property
    def at_rest(self) -> bool:
        """Whether nothing is offered and nobody reads or writes."""
        accepting = 1
        return not self._offers and len(self._tasks) <= accepting and self._remote.at_rest and self._direct.at_rest

    def offer(
        self, serve: ServeStream, framed: bool = True, expired: Callable[[], object] = lambda: None
    ) -> StreamOffer:
        """A stream that runs `serve` when the caller takes it, once, within 30 seconds; else `expired` is called.

        It runs in the trace of who asked for the offer.
        """
        ticket = new_token()
        handle = asyncio.get_running_loop().call_later(OFFER_SECONDS, self._expire, ticket, expired)
        self._offers[ticket] = (telemetry.carried(serve), handle)
        return StreamOffer(path=str(self._path), ticket=ticket, stream_id=self._remote.stream_id(ticket), framed=framed)

    async def offer_direct(
        self, serve: ServeStream, framed: bool = True, expired: Callable[[], object] = lambda: None
    ) -> StreamOffer:
        """The same for bulk: takers on other hosts connect to this one, where both are in a cluster."""
        address = await self._direct.address()
        return msgspec.structs.replace(self.offer(serve, framed, expired), address=address)

    def _expire(self, ticket: str, expired: Callable[[], object]) -> None:
        if self._offers.pop(ticket, None) is not None:
            expired()

    def _claim(self, ticket: str) -> ServeStream | None:
        found = self._offers.pop(ticket, None)
        if found is None:
            return None
        found[1].cancel()
        return found[0]

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor is free, for one: the caller waits in the queue
                log.error("streams: %s", error)
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            self._tasks.start(self._serve(connection), "stream")

    async def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        serve = await self._ticket(connection)
        if serve is None:
            connection.close()
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        channel = ServedChannel(connection)
        try:
            await serve(channel)
            channel.close()
        except ConnectionError as error:
            log.debug("stream ended by its taker: %r", error)
        except ShoalError as error:
            log.warning("stream broken off: %s", error)
        finally:
            channel.break_off()

    async def _ticket(self, connection: socket.socket) -> ServeStream | None:
        """What the ticket stands for. Its last byte stays unread: closing now tells the taker by ECONNRESET."""
        loop, got = asyncio.get_running_loop(), b""
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                while len(got) < TICKET_BYTES - 1:
                    more = await loop.sock_recv(connection, TICKET_BYTES - 1 - len(got))
                    if not more:
                        return None
                    got += more
                got += await _peeked(connection)
        except (OSError, TimeoutError):
            return None
        return self._claim(got.decode("ascii", "replace"))

    async def take(self, offer: StreamOffer) -> Channel:
        """The caller's end: over the socket when the offer is of this host, else directly if it says where, else over
        the bus.

        Raises `Unavailable` when its server is gone; between hosts, `NotFound` when it was taken or has run out.
        (Over the socket the first read then raises `ConnectionResetError`.)
        """
        node = next(iter(offer.stream_id.split(".")[1:2]), self._bus.node)
        if node != self._bus.node:
            if offer.address and cluster.load(self._state_path):
                return await take_direct(self._state_path, offer, node)
            return await take_remote(self._bus, offer)
        loop = asyncio.get_running_loop()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        try:
            await loop.sock_connect(connection, offer.path)
            await loop.sock_sendall(connection, offer.ticket.encode())
        except OSError as error:
            connection.close()
            raise Unavailable(f"stream at {offer.path}: {error.strerror or error}") from None
        except BaseException:
            connection.close()
            raise
        return LocalChannel(connection)


async def _peeked(connection: socket.socket) -> bytes:
    """The next byte, which stays; b"" at the end."""
    loop = asyncio.get_running_loop()
    while True:
        came = asyncio.Event()
        try:
            return connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            loop.add_reader(connection, came.set)
        try:
            await came.wait()
        finally:
            loop.remove_reader(connection)
