"""The server's side of criu's page protocol (criu 4.2 and later): answers of pages to `criu lazy-pages`.

A request is 4 bytes command, 4 unused, 8 each pages, address and process (its pid in its namespace), in the host's
order; an answer the same and the pages. Answers must come in the order of the requests.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import NamedTuple

from .store import PAGE, Store

REQUEST = struct.Struct("=I4xQQQ")
GET, CLOSE, FORCE_CLOSE = 7, 0x1023, 0x1024
COMMAND_MASK = 0xFFFF
ADDED = 6 | 4 << 16
"""Answer: pages that are present."""


AT_ONCE = 64 << 10
"""So much is asked for of a request whose pages are missing; the others would make who comes next wait."""
MOST = 1 << 20
"""An answer has at most so many bytes."""


class Request(NamedTuple):
    """Pages that are waited for."""

    process: int
    address: int
    length: int


class PageServer:
    """Answers from a store as soon as it has the pages."""

    def __init__(self, connection: socket.socket, store: Store) -> None:
        self._connection, self._store = connection, store
        self._waiting: deque[Request] = deque()
        self._rest = b""

    def receive(self) -> list[Request]:
        """Takes requests in; what is missing of them now. `ValueError` for what is none."""
        self._rest += self._connection.recv(1 << 16)
        while len(self._rest) >= REQUEST.size:
            command, pages, address, process = REQUEST.unpack_from(self._rest)
            self._rest = self._rest[REQUEST.size :]
            if command & COMMAND_MASK in (CLOSE, FORCE_CLOSE):
                self._connection.sendall(bytes(4))
            elif command & COMMAND_MASK == GET and pages:
                self._waiting.append(Request(process, address, pages * PAGE))
            else:
                raise ValueError(f"criu asks for what is not known: {command:#x}")
        self.answer()
        return [Request(each.process, each.address, min(each.length, AT_ONCE)) for each in self._waiting]

    def answer(self) -> None:
        """Sends what is there for those that wait, in their order. Part of what was asked for will do, if it is the
        first: criu asks again for the rest, and for what processes wait for in between.
        """
        while self._waiting:
            wanted = self._waiting[0]
            data = self._store.begin(wanted.process, wanted.address, min(wanted.length, MOST))
            if not data:
                return
            self._waiting.popleft()
            self._connection.sendall(REQUEST.pack(ADDED, len(data) // PAGE, wanted.address, wanted.process) + data)
