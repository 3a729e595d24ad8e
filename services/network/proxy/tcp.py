"""Relaying TCP connections, with flow control and half-close."""

from __future__ import annotations

import contextlib
import errno
import select
import socket

from .poller import READ, WRITE, Poller

CHUNK = 1 << 17
PAUSE = 1.0
"""Seconds in which nothing is accepted when there are no more descriptors; the kernel keeps clients waiting."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_BROKEN = select.EPOLLERR | select.EPOLLHUP


class TcpRelay:
    """Relays what connects to a listening socket until `close`, which ends what passes through but not the socket."""

    def __init__(self, poller: Poller, listener: socket.socket, target: tuple[str, int]) -> None:
        self._poller = poller
        self._listener = listener
        self._target = target
        self._pairs: set[Pair] = set()
        self._listen()

    def close(self) -> None:
        self._poller.forget(self._listener.fileno())
        for pair in tuple(self._pairs):
            pair.close()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._poller.watch(self._listener.fileno(), READ, self._accept)

    def _accept(self, _: int) -> None:
        try:
            client, _address = self._listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._poller.forget(self._listener.fileno())
                self._poller.later(PAUSE, self._listen)
            return
        client.setblocking(False)
        try:
            self._pairs.add(Pair(self._poller, client, self._target, self._pairs))
        except OSError:
            client.close()


class Way:
    """One direction: what was read from `source` and not yet written to `sink`."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.data = b""
        self.ended = self.shut = False

    def read(self) -> None:
        self.data = self.source.recv(CHUNK)
        self.ended = not self.data

    def write(self) -> None:
        """Writes what there is; passes the end on when nothing is left before it."""
        if self.data:
            self.data = self.data[self.sink.send(self.data) :]
        if self.ended and not self.data and not self.shut:
            self.shut = True
            self.sink.shutdown(socket.SHUT_WR)


class Pair:
    """A client's connection and the one that stands for it at the target."""

    def __init__(self, poller: Poller, client: socket.socket, target: tuple[str, int], pairs: set[Pair]) -> None:
        self._poller, self._pairs = poller, pairs
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._sockets = client, server
        self._up, self._down = Way(client, server), Way(server, client)
        self._connecting = server.connect_ex(target) == errno.EINPROGRESS
        self._watch()

    def close(self) -> None:
        for each in self._sockets:
            self._poller.forget(each.fileno())
            each.close()
        self._pairs.discard(self)

    def _watch(self) -> None:
        for out, back in ((self._up, self._down), (self._down, self._up)):
            reads = READ if not (out.data or out.ended or self._connecting) else 0
            waits = self._connecting and out.source is self._sockets[1]
            writes = WRITE if back.data or waits else 0
            ready = self._client_ready if out is self._up else self._server_ready
            self._poller.watch(out.source.fileno(), reads | writes, ready)

    def _client_ready(self, events: int) -> None:
        self._step(events, self._up, self._down)

    def _server_ready(self, events: int) -> None:
        self._step(events, self._down, self._up)

    def _step(self, events: int, out: Way, back: Way) -> None:
        """Something happened at the socket that is the source of `out` and the sink of `back`."""
        try:
            if self._connecting:
                if (failed := self._sockets[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
                    raise OSError(failed, "no connection")
                self._connecting = False
            with contextlib.suppress(BlockingIOError):
                if not (out.data or out.ended) and events & (READ | _BROKEN):
                    out.read()
            for way in (back, out):
                with contextlib.suppress(BlockingIOError):
                    way.write()
        except OSError:  # either side went away: both do
            self.close()
            return
        if self._up.shut and self._down.shut:
            self.close()
        else:
            self._watch()
