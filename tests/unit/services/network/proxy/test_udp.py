from __future__ import annotations

import asyncio
import socket

import pytest

from services.network.proxy import udp
from services.network.proxy.udp import UdpRelay

from .conftest import Running


class Upper(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.transport.sendto(data.upper(), address)


async def asked(listener: socket.socket, texts: list[bytes]) -> list[bytes]:
    """The answers to as many clients that ask at once."""
    loop = asyncio.get_running_loop()
    clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in texts]
    for client, text in zip(clients, texts, strict=True):
        client.setblocking(False)
        client.connect(listener.getsockname()[:2])
        await loop.sock_sendall(client, text)
    answers = [await loop.sock_recv(client, 100) for client in clients]
    for client in clients:
        client.close()
    return answers


async def test_datagrams_find_their_way_back_to_each_client(poller: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "CLIENTS", 2)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Upper, ("127.0.0.1", 0))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind(("::1", 0))
        made: list[UdpRelay] = []
        target = transport.get_extra_info("sockname")
        poller.do(lambda: made.append(UdpRelay(poller, listener, target)))
        assert await asked(listener, [b"one", b"two"]) == [b"ONE", b"TWO"]
        assert await asked(listener, [b"three"]) == [b"THREE"]
        assert len(made[0]._clients) == 2, "the one silent for longest is forgotten"
        poller.do(made[0].close)
    transport.close()
