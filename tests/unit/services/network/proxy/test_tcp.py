from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from services.network.proxy.tcp import TcpRelay

from .conftest import Running


@pytest.fixture
async def upper() -> AsyncIterator[tuple[str, int]]:
    """A server that answers in capitals once its client has said all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()


@pytest.fixture
def listener() -> socket.socket:
    made = socket.create_server(("::1", 0), family=socket.AF_INET6)
    made.setblocking(False)
    return made


class Relayed:
    """A relay with its socket."""

    def __init__(self, poller: Running, listener: socket.socket, target: tuple[str, int]) -> None:
        self._poller, self._listener = poller, listener
        made: list[TcpRelay] = []
        poller.do(lambda: made.append(TcpRelay(poller, listener, target)))
        self.relay = made[0]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._listener.getsockname()[:2])

    def close(self) -> None:
        self._poller.do(self.relay.close)


async def test_connections_are_relayed_with_half_close(
    poller: Running, listener: socket.socket, upper: tuple[str, int]
) -> None:
    relayed = Relayed(poller, listener, upper)
    clients = [await relayed.connect() for _ in range(5)]
    for number, (_, writer) in enumerate(clients):
        writer.write(bytes([97 + number]) * 3_000_000)
        writer.write_eof()
    for number, (reader, writer) in enumerate(clients):
        assert await reader.read() == bytes([65 + number]) * 3_000_000
        writer.close()
    relayed.close()
    listener.close()


async def test_a_slow_reader_slows_its_writer(poller: Running, listener: socket.socket) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    relayed = Relayed(poller, listener, server.getsockname())
    _, writer = await relayed.connect()
    slow, _ = await asyncio.to_thread(server.accept)
    writer.write(b"x" * 100_000_000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.3)
    slow.close()
    with pytest.raises(ConnectionError):
        await writer.drain()
    server.close()
    relayed.close()
    listener.close()


async def test_a_closed_target_ends_the_connection(poller: Running, listener: socket.socket) -> None:
    relayed = Relayed(poller, listener, ("127.0.0.1", 1))
    reader, writer = await relayed.connect()
    assert await _rest(reader) == b""
    writer.close()
    relayed.close()
    listener.close()


async def test_closing_ends_what_passes_through(
    poller: Running, listener: socket.socket, upper: tuple[str, int]
) -> None:
    relayed = Relayed(poller, listener, upper)
    reader, writer = await relayed.connect()
    writer.write(b"x")
    await writer.drain()
    relayed.close()
    listener.close()
    assert await _rest(reader) == b""
    writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
