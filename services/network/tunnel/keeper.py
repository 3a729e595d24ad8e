"""The keys that the tunnel has, as the service at the other end of its socket says, and for how long."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from functools import partial

from ..proxy.poller import READ, Poller
from . import device, messages
from .messages import Message
from .relay import Relay, Source, Way
from .session import Inbound, Outbound

OVERLAP = 60.0
"""Seconds for which keys still open what was sealed under them, after the peer has begun to use later ones."""
MOST_UNUSED = 8
"""Receiving keys of one peer that it has not used yet; a further one takes the place of the oldest."""
UDP_HEADERS = {4: 28, 6: 48}
PATIENCE = 5.0
"""Seconds a service may take to read what is said to it."""


class Keeper:
    """Listens for services, one at a time: the newest is the one that is heard."""

    def __init__(
        self, poller: Poller, relay: Relay, listener: socket.socket, first: socket.socket, ready: Message, port: int
    ) -> None:
        self._poller, self._relay, self._listener = poller, relay, listener
        self._ready, self._port = ready, port
        self._mtu = 1500
        self._service: socket.socket | None = None
        self._plain: set[bytes] = set()
        """Peers that take segmented packets only."""
        relay.used = self._used
        relay.worn = lambda peer: self._say(Message(messages.WORN, peer=str(ipaddress.ip_address(peer))))
        poller.watch(listener.fileno(), READ, self._accept)
        self._serve(first)

    def use_mtu(self, mtu: int) -> None:
        """How long packets between the hosts may be."""
        self._mtu = mtu

    def _accept(self, _: int) -> None:
        service, _address = self._listener.accept()
        self._part()
        self._serve(service)

    def _serve(self, service: socket.socket) -> None:
        service.settimeout(PATIENCE)
        self._service = service
        self._poller.watch(service.fileno(), READ, self._hear)
        self._say(self._ready)

    def _part(self) -> None:
        if self._service is not None:
            self._poller.forget(self._service.fileno())
            self._service.close()
            self._service = None

    def _say(self, message: Message) -> None:
        if self._service is not None:
            with contextlib.suppress(OSError):
                self._service.send(message.encode())

    def _hear(self, _: int) -> None:
        assert self._service is not None
        try:
            data = self._service.recv(messages.LONGEST)
        except OSError:
            data = b""
        if data:
            self._obey(messages.decode(data))
            return
        self._part()
        if not (self._relay.ways or self._relay.sources):
            self._poller.stop()

    def _obey(self, message: Message) -> None:
        act = {messages.RECEIVE: self._receive, messages.SEND: self._send, messages.FORGET: self._forget}
        try:
            act[message.verb](message, ipaddress.ip_address(message.peer).packed if message.peer else b"")
        except (KeyError, ValueError, OSError) as error:
            self._say(Message(messages.FAILED, message.number, text=f"{message.verb}: {error}"))
        else:
            self._say(Message(messages.DONE, message.number))

    def _receive(self, message: Message, peer: bytes) -> None:
        if not peer:
            raise ValueError("whose keys?")
        unused = [spi for spi, each in self._relay.sources.items() if each.address == peer and not each.used]
        for spi in unused[: max(0, len(unused) - MOST_UNUSED + 1)]:
            del self._relay.sources[spi]
        inbound = Inbound(message.spi, bytes.fromhex(message.material))
        self._relay.sources[message.spi] = Source(inbound, peer)

    def _send(self, message: Message, peer: bytes) -> None:
        if not peer:
            raise ValueError("whose keys?")
        outbound = Outbound(message.spi, bytes.fromhex(message.material))
        datagram = self._mtu - UDP_HEADERS[4 if len(peer) == 4 else 6]
        self._relay.ways[peer] = Way(outbound, (message.peer, self._port), datagram)
        (self._plain.discard if message.whole else self._plain.add)(peer)
        self._offload()

    def _forget(self, message: Message, peer: bytes) -> None:
        for one in [peer] if peer else list(self._relay.ways):
            self._relay.ways.pop(one, None)
            self._plain.discard(one)
        for spi in [spi for spi, each in self._relay.sources.items() if peer in (each.address, b"")]:
            del self._relay.sources[spi]
        self._offload()

    def _offload(self) -> None:
        device.offload(self._relay.tap, tunnelled=not self._plain)

    def _used(self, spi: int) -> None:
        """A peer has begun to use these keys: those that it had before are of use for what is still under way only."""
        known = list(self._relay.sources)
        peer = self._relay.sources[spi].address
        for other in known[: known.index(spi)]:
            if self._relay.sources[other].address == peer:
                self._poller.later(OVERLAP, partial(self._drop, other))

    def _drop(self, spi: int) -> None:
        self._relay.sources.pop(spi, None)
