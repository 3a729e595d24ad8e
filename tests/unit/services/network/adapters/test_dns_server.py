"""Serving DNS, and asking others."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from services.network.adapters import dns_server, dns_sockets
from services.network.adapters.dns_server import DnsServer
from services.network.adapters.dns_sockets import DnsSockets

pytestmark = pytest.mark.usefixtures("host_network")


def sockets(port: int = 0) -> DnsSockets:
    made = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        each = socket.socket(socket.AF_INET, kind)
        each.setblocking(False)
        each.bind(("127.0.0.1", port))
        made.append(each)
    made[1].listen()
    return DnsSockets(*made)


async def resolve(message: bytes, tcp: bool) -> bytes:
    """Nothing for silence, else the message in capitals and how it came."""
    return b"" if message == b"silence" else message[:2] + message[2:].upper() + (b"/tcp" if tcp else b"/udp")


@pytest.fixture
async def upstream(host_network: None) -> AsyncIterator[None]:
    """A server on port 53."""
    server = DnsServer(sockets(53), resolve)
    yield
    server.close()


async def test_datagrams_and_streams_are_answered() -> None:
    served = sockets()
    server = DnsServer(served, resolve)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(served.datagrams.getsockname())
        await loop.sock_sendall(client, b"silence")
        await loop.sock_sendall(client, b"idquestion")
        assert await loop.sock_recv(client, 100) == b"idQUESTION/udp"
    reader, writer = await asyncio.open_connection(*served.connections.getsockname())
    for word in (b"one", b"two"):
        writer.write(struct.pack("!H", 5) + b"id" + word)
        length = struct.unpack("!H", await reader.readexactly(2))[0]
        assert await reader.readexactly(length) == b"id" + word.upper() + b"/tcp"
    writer.close()
    server.close()


async def test_what_is_known_is_told_at_once_and_the_rest_is_resolved() -> None:
    served = sockets()
    server = DnsServer(served, resolve, lambda message: b"known" if message == b"k" else None)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(served.datagrams.getsockname())
        for message in (b"k", b"idother", *[b"k"] * dns_server.AT_ONCE):
            await loop.sock_sendall(client, message)
        heard = [await asyncio.wait_for(loop.sock_recv(client, 100), 60) for _ in range(dns_server.AT_ONCE + 2)]
    assert sorted(heard) == sorted([b"idOTHER/udp", *[b"known"] * (dns_server.AT_ONCE + 1)])
    server.close()


async def test_a_client_that_says_half_a_word_is_let_go() -> None:
    served = sockets()
    server = DnsServer(served, resolve)
    reader, writer = await asyncio.open_connection(*served.connections.getsockname())
    writer.write(b"\0")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    server.close()


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize(("tcp", "how"), [(False, b"/udp"), (True, b"/tcp")])
async def test_the_first_server_that_answers(tcp: bool, how: bytes) -> None:
    assert await dns_server.forward(b"idx", ["127.0.0.9", "127.0.0.1"], tcp) == b"idX" + how


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize(("tcp", "how"), [(False, b"/udp"), (True, b"/tcp")])
async def test_a_server_asked_from_another_namespace(tcp: bool, how: bytes) -> None:
    made = partial(dns_sockets.upstream_in, Path("/proc/thread-self/ns/net"))
    assert await dns_server.forward(b"idx", ["127.0.0.1"], tcp, made) == b"idX" + how
    gone = partial(dns_sockets.upstream_in, Path("/nope"))
    assert await dns_server.forward(b"idx", ["127.0.0.1"], tcp, gone) == b""


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_server, "PATIENCE", 0.01)
    assert await dns_server.forward(b"idx", ["127.0.0.9", "::1"], tcp=False) == b""
    assert await dns_server.forward(b"idx", ["127.0.0.9"], tcp=True) == b""
    assert await dns_server.forward(b"idx", [], tcp=False) == b""
