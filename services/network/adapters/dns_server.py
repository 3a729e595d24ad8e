"""Serving DNS on a sandbox's sockets, and asking other servers."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence

from shared.tasks import TaskGroup

from .dns_sockets import DnsSockets, upstream

Resolve = Callable[[bytes, bool], Awaitable[bytes]]
"""The answer to a message, given whether it came by TCP; empty: none."""
Known = Callable[[bytes], bytes | None]
"""The answer to a message that came by UDP when it can be told at once."""
Made = Callable[[socket.AddressFamily, socket.SocketKind], Awaitable[socket.socket]]
"""A new socket, not blocking, to ask a server with. Raises `OSError`."""
PATIENCE = 4.0
"""Seconds one server is waited for, as dockerd's resolver does."""
IDLE = 10.0
"""Seconds a TCP client may say nothing."""
LARGEST = 65535
AT_ONCE = 16
"""Questions that are heard in a row; others of the service wait meanwhile."""
QUESTIONS = 256
"""Questions of one sandbox that are worked on at once; more are not heard."""
CONNECTIONS = 64
_LENGTH = struct.Struct("!H")


class DnsServer:
    """Answers one sandbox until `close`."""

    def __init__(self, sockets: DnsSockets, resolve: Resolve, known: Known = lambda _: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._resolve, self._known = resolve, known
        self._questions, self._clients = TaskGroup("dns"), TaskGroup("dns-tcp")
        self._loop.add_reader(sockets.datagrams.fileno(), self._hear)
        self._loop.add_reader(sockets.connections.fileno(), self._accept)

    def close(self) -> None:
        for each in (self._sockets.datagrams, self._sockets.connections):
            self._loop.remove_reader(each.fileno())
        self._questions.cancel()
        self._clients.cancel()
        self._sockets.close()

    def _hear(self) -> None:
        for _ in range(AT_ONCE):
            try:
                message, client = self._sockets.datagrams.recvfrom(LARGEST)
            except OSError:
                return
            known = self._known(message)
            if known is not None:
                self._send(known, client)
            elif len(self._questions) < QUESTIONS:
                self._questions.start(self._answer(message, client), "question")

    async def _answer(self, message: bytes, client: tuple[str, int]) -> None:
        self._send(await self._resolve(message, False), client)

    def _send(self, reply: bytes, client: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            if reply:
                self._sockets.datagrams.sendto(reply, client)

    def _accept(self) -> None:
        try:
            client, _ = self._sockets.connections.accept()
        except OSError:
            return
        if len(self._clients) >= CONNECTIONS:
            client.close()
            return
        client.setblocking(False)
        self._clients.start(self._serve(client), "client")

    async def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(sock=client)
            try:
                while True:
                    async with asyncio.timeout(IDLE):
                        message = await _read(reader)
                    writer.write(_framed(await self._resolve(message, True)))
                    await writer.drain()
            finally:
                writer.close()


async def forward(message: bytes, servers: Sequence[str], tcp: bool, made: Made = upstream) -> bytes:
    """The first answer that one of the servers gives, asked in turn; empty when none does.

    `made` makes the sockets: those that ask from the host, unless it is given.
    """
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    for server in servers:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            family = socket.AF_INET if ipaddress.ip_address(server.partition("%")[0]).version == 4 else socket.AF_INET6
            async with asyncio.timeout(PATIENCE):
                with await made(family, kind) as asking:
                    await asyncio.get_running_loop().sock_connect(asking, (server, 53))
                    return await (_ask_tcp if tcp else _ask_udp)(message, asking)
    return b""


async def _ask_udp(message: bytes, asking: socket.socket) -> bytes:
    asking.send(message)
    while True:
        reply = await asyncio.get_running_loop().sock_recv(asking, LARGEST)
        if reply[:2] == message[:2]:
            return reply


async def _ask_tcp(message: bytes, asking: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=asking)
    try:
        writer.write(_framed(message))
        return await _read(reader)
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(_LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0])


def _framed(message: bytes) -> bytes:
    return _LENGTH.pack(len(message)) + message
