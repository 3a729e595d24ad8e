"""Relaying datagrams: each client is stood for by a socket of its own, and forgotten after ninety silent seconds."""

from __future__ import annotations

import socket
from typing import Any

from .poller import READ, Poller, Timer

LARGEST = 1 << 16
SILENCE = 90.0
"""Seconds, as dockerd's proxy has them."""
CLIENTS = 1024
"""Clients of one port that are remembered at once; a further one takes the place of the one silent for longest."""


class UdpRelay:
    """Relays what arrives at a bound socket until `close`, which leaves the socket open."""

    def __init__(self, poller: Poller, listener: socket.socket, target: tuple[str, int]) -> None:
        self._poller = poller
        self._listener = listener
        self._target = target
        self._family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._clients: dict[Any, tuple[socket.socket, Timer]] = {}
        poller.watch(listener.fileno(), READ, self._from_client)

    def close(self) -> None:
        self._poller.forget(self._listener.fileno())
        for address in tuple(self._clients):
            self._forget(address)

    def _from_client(self, _: int) -> None:
        try:
            data, address = self._listener.recvfrom(LARGEST)
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
            if len(self._clients) >= CLIENTS:
                self._forget(next(iter(self._clients)))
            upstream = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            upstream.connect(self._target)
            self._poller.watch(upstream.fileno(), READ, lambda _: self._from_server(upstream, address))
        self._clients[address] = (upstream, self._poller.later(SILENCE, lambda: self._forget(address)))
        return upstream

    def _from_server(self, upstream: socket.socket, address: Any) -> None:
        try:
            self._listener.sendto(upstream.recv(LARGEST), address)
        except OSError:
            return

    def _forget(self, address: Any) -> None:
        upstream, timer = self._clients.pop(address)
        timer.cancel()
        self._poller.forget(upstream.fileno())
        upstream.close()
