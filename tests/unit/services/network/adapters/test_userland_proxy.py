"""Relaying IPv6 clients to IPv4."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator

import pytest

from services.network.adapters.userland_proxy import relay
from services.network.domain.publishing import Forward

LOOPBACK6 = ipaddress.ip_address("::1")
LOOPBACK4 = ipaddress.ip_address("127.0.0.1")


def forward(protocol: str, target: int) -> Forward:
    return Forward(protocol, LOOPBACK6, 0, LOOPBACK4, target)


def bound(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET6, kind)
    made.setblocking(False)
    made.bind(("::1", 0))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


@pytest.fixture
async def upper() -> AsyncIterator[int]:
    """Port of a server that answers in capitals once its client has said all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_connection_is_relayed_with_half_close(upper: int) -> None:
    with bound(socket.SOCK_STREAM) as listener:
        running = relay(listener, forward("tcp", upper))
        reader, writer = await asyncio.open_connection("::1", listener.getsockname()[1])
        writer.write(b"x" * 1_000_000)
        writer.write_eof()
        assert await reader.read() == b"X" * 1_000_000
        writer.close()
        running.close()


async def test_a_closed_target_ends_the_connection() -> None:
    with bound(socket.SOCK_STREAM) as listener:
        running = relay(listener, forward("tcp", 1))
        reader, writer = await asyncio.open_connection("::1", listener.getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        running.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_closing_ends_what_passes_through(upper: int) -> None:
    with bound(socket.SOCK_STREAM) as listener:
        running = relay(listener, forward("tcp", upper))
        reader, writer = await asyncio.open_connection("::1", listener.getsockname()[1])
        writer.write(b"x")
        await writer.drain()
        running.close()
    assert await rest(reader) == b""
    writer.close()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.transport.sendto(data.upper(), address)


async def test_datagrams_find_their_way_back_to_each_client() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    with bound(socket.SOCK_DGRAM) as listener:
        running = relay(listener, forward("udp", transport.get_extra_info("sockname")[1]))
        clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2)]
        for number, client in enumerate(clients):
            client.setblocking(False)
            client.connect(listener.getsockname()[:2])
            await loop.sock_sendall(client, f"hello {number}".encode())
        answers = [await loop.sock_recv(client, 100) for client in clients]
        assert answers == [b"HELLO 0", b"HELLO 1"]
        running.close()
        for client in clients:
            client.close()
    transport.close()
