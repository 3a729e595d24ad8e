"""Relaying what the kernel cannot forward: IPv6 clients of containers that have only IPv4, and clients at ::1.

Flow control and half-close of TCP are kept; a UDP client is forgotten after ninety silent seconds.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any, Protocol

from shared.tasks import TaskGroup

from ..domain.publishing import Forward

CHUNK = 1 << 16
UDP_SILENCE = 90.0
"""Seconds, as dockerd's proxy has them."""
UDP_CLIENTS = 1024
"""Clients of one UDP port that are remembered at once; a further one takes the place of the oldest."""


class Relay(Protocol):
    """A running relay."""

    def close(self) -> None:
        """Ends the relay and all that passes through it; the socket stays open."""


def relay(listener: socket.socket, forward: Forward) -> Relay:
    """Relays what arrives at the socket to the forward's target, from now on."""
    return _TcpRelay(listener, forward) if forward.protocol == "tcp" else _UdpRelay(listener, forward)


class _TcpRelay:
    def __init__(self, listener: socket.socket, forward: Forward) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._target = (str(forward.target), forward.target_port)
        self._family = socket.AF_INET if forward.target.version == 4 else socket.AF_INET6
        self._tasks = TaskGroup("proxy")
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._tasks.cancel()

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                self._loop.remove_reader(self._listener.fileno())
                self._pause = self._loop.call_later(1.0, self._listen)  # the kernel keeps clients waiting meanwhile
            return
        client.setblocking(False)
        self._tasks.start(self._serve(client), "connection")

    async def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as server:
            server.setblocking(False)
            try:
                await self._loop.sock_connect(server, self._target)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pump(client, server))
                    both.create_task(self._pump(server, client))
            except* OSError:
                pass  # either side went away: both are closed

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        while data := await self._loop.sock_recv(source, CHUNK):
            await self._loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)


class _UdpRelay:
    def __init__(self, listener: socket.socket, forward: Forward) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._target = (str(forward.target), forward.target_port)
        self._family = socket.AF_INET if forward.target.version == 4 else socket.AF_INET6
        self._clients: dict[Any, tuple[socket.socket, asyncio.TimerHandle]] = {}
        self._loop.add_reader(listener.fileno(), self._from_client)

    def close(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        for address in tuple(self._clients):
            self._forget(address)

    def _from_client(self) -> None:
        try:
            data, address = self._listener.recvfrom(CHUNK)
            self._upstream(address).send(data)
        except OSError:
            return  # nothing there after all, or the container does not listen: UDP may lose it

    def _upstream(self, address: Any) -> socket.socket:
        """The socket that stands for a client; each datagram gives it more time."""
        known = self._clients.pop(address, None)
        if known is not None:
            known[1].cancel()
            upstream = known[0]
        else:
            if len(self._clients) >= UDP_CLIENTS:
                self._forget(next(iter(self._clients)))
            upstream = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            upstream.connect(self._target)
            self._loop.add_reader(upstream.fileno(), self._from_server, upstream, address)
        self._clients[address] = (upstream, self._loop.call_later(UDP_SILENCE, self._forget, address))
        return upstream

    def _from_server(self, upstream: socket.socket, address: Any) -> None:
        try:
            self._listener.sendto(upstream.recv(CHUNK), address)
        except OSError:
            return

    def _forget(self, address: Any) -> None:
        upstream, timer = self._clients.pop(address)
        timer.cancel()
        self._loop.remove_reader(upstream.fileno())
        upstream.close()
