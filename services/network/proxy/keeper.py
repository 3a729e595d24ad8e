"""The entries that the proxy keeps, as the service at the other end of its socket says."""

from __future__ import annotations

import contextlib
import os
import select
import socket

from . import messages
from .messages import Message
from .poller import READ, Poller
from .tcp import TcpRelay
from .udp import UdpRelay

PATIENCE = 5.0
"""Seconds a service may take to read what is said to it."""


class Entry:
    """Sockets that are kept, and what is relayed at the first of them."""

    def __init__(self, poller: Poller, sockets: list[socket.socket], target: tuple[str, str, int] | None) -> None:
        self.sockets, self.target = sockets, target
        self._relay: TcpRelay | UdpRelay | None = None
        if target is not None:
            protocol, address, port = target
            self._relay = (TcpRelay if protocol == "tcp" else UdpRelay)(poller, sockets[0], (address, port))

    def close(self) -> None:
        """Ends what is relayed, and lets go of the sockets."""
        if self._relay is not None:
            self._relay.close()
        for each in self.sockets:
            each.close()


class Keeper:
    """Listens for services, one at a time: the newest is the one that is heard."""

    def __init__(self, poller: Poller, listener: socket.socket, first: socket.socket) -> None:
        self._poller = poller
        self._listener = listener
        self._entries: dict[str, Entry] = {}
        self._service: socket.socket | None = None
        poller.watch(listener.fileno(), READ, self._accept)
        self._serve(first)

    def _accept(self, _: int) -> None:
        while self._service is not None and _readable(self._service) and self._heard():
            pass  # what the one before has said still counts
        service, _address = self._listener.accept()
        self._part()
        self._serve(service)
        for key, entry in self._entries.items():
            self._say(Message(messages.HELD, key, entry.target), entry.sockets)
        self._say(Message(messages.ALL, str(os.getpid())))

    def _serve(self, service: socket.socket) -> None:
        service.settimeout(PATIENCE)
        self._service = service
        self._poller.watch(service.fileno(), READ, self._hear)

    def _part(self) -> None:
        if self._service is not None:
            self._poller.forget(self._service.fileno())
            self._service.close()
            self._service = None

    def _say(self, message: Message, sockets: list[socket.socket] | None = None) -> None:
        if self._service is not None:
            with contextlib.suppress(OSError):
                socket.send_fds(self._service, [message.encode()], [each.fileno() for each in sockets or ()])

    def _hear(self, _: int) -> None:
        if not self._heard():
            self._part()
            if not self._entries:
                self._poller.stop()

    def _heard(self) -> bool:
        """Obeys the next message; false when there will be no more."""
        assert self._service is not None
        try:
            data, descriptors, *_ = socket.recv_fds(self._service, messages.LONGEST, messages.DESCRIPTORS)
        except OSError:
            return False
        if data:
            self._obey(messages.decode(data), [socket.socket(fileno=number) for number in descriptors])
        return bool(data)

    def _obey(self, message: Message, sockets: list[socket.socket]) -> None:
        old = self._entries.pop(message.key, None)
        if old is not None:
            old.close()
        if message.verb == messages.DROP:
            self._say(Message(messages.DONE, message.key))
            return
        if old is not None:
            self._say(Message(messages.DONE, message.key))
        for each in sockets:
            os.set_blocking(each.fileno(), False)
        self._entries[message.key] = Entry(self._poller, sockets, message.target)


def _readable(connection: socket.socket) -> bool:
    return bool(select.select((connection,), (), (), 0)[0])
