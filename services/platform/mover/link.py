"""The connection of two movers: TLS 1.3, one ticket, frames of a kind, a process, an address and bytes.

Frame: kind (1 byte), process (4 bytes, its pid in its own namespace), address (8 bytes), length (4 bytes), all big
endian, and the bytes. Kinds are in `KINDS`.
"""

from __future__ import annotations

import hmac
import select
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from shared import mutual_tls

from .ranges import Range

HEADER = struct.Struct(">cIQI")
LONGEST = 1 << 20
BUFFER_BYTES = 128 << 10
"""The kernel doubles it. A page that is waited for comes behind at most so much that is not."""
JOIN_SECONDS = 30.0
EXPECT, FILE, MORE, LOG, PAGES, STILL, SAME, SEALED, RECEIVED, WANTED, ALL_SENT, SETTLED, FAILED = (
    b"%c" % letter for letter in b"CFOLPTMSAREZX"
)
"""From source to target: what the dump will say, as far as that is known (JSON); a file (its name, a zero byte, its
first bytes); more of it; bytes of the log; pages; the processes stand still, and what was sent before may have
changed; ranges of pages (`pack`) that have not, but for what has come since; all of the dump is there (JSON); later:
all pages were sent. From target to source: the dump was received; a page is wanted now; every page is in place. Both:
why it cannot go on."""


_RANGE = struct.Struct(">QQ")
RANGES = 4096
"""So many are told at once."""


def pack(ranges: Iterable[Range]) -> Iterator[bytes]:
    """Ranges of addresses as payloads."""
    told = iter(ranges)
    while piece := b"".join(_RANGE.pack(*each) for each in islice(told, RANGES)):
        yield piece


def unpack(payload: bytes) -> Iterator[Range]:
    """`ValueError` for what is none."""
    if len(payload) % _RANGE.size:
        raise ValueError("half a range")
    return _RANGE.iter_unpack(payload)


class Frame(NamedTuple):
    """One message."""

    kind: bytes
    process: int
    address: int
    payload: bytes


class Link:
    """One end. Blocking; `ConnectionError` when the other end is gone or sends what is no frame."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self.sent = 0
        """Payload so far, in bytes."""

    def fileno(self) -> int:
        return self._connection.fileno()

    def send(self, kind: bytes, payload: bytes = b"", process: int = 0, address: int = 0) -> None:
        try:
            self._connection.sendall(HEADER.pack(kind, process, address, len(payload)) + payload)
        except OSError as error:
            raise ConnectionResetError(f"the other host is gone: {error}") from None
        self.sent += len(payload)

    def receive(self) -> Frame:
        kind, process, address, length = HEADER.unpack(self._exactly(HEADER.size))
        if length > LONGEST:
            raise ConnectionAbortedError(f"a frame of {length} bytes")
        return Frame(kind, process, address, self._exactly(length))

    def _exactly(self, length: int) -> bytes:
        data = bytearray(length)
        view, got = memoryview(data), 0
        try:
            while got < length:
                more = self._connection.recv_into(view[got:])
                if not more:
                    raise ConnectionResetError("the other host has ended the connection")
                got += more
        except ConnectionError:
            raise
        except OSError as error:
            raise ConnectionResetError(f"the other host is gone: {error}") from None
        return bytes(data)

    @property
    def waiting(self) -> bool:
        """Whether something has come already."""
        return bool(self._connection.pending() or select.select((self._connection,), (), (), 0)[0])

    @property
    def decrypted(self) -> bool:
        """Whether bytes have come that poll(2) does not see any more."""
        return bool(self._connection.pending())

    def close(self) -> None:
        self._connection.close()


def _tune(connection: socket.socket) -> None:
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mutual_tls.notice_loss(connection)
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)


def connect(address: str, ticket: str, files: Path, node: str) -> Link:
    """Joins the mover that `node` has started. `OSError` when it cannot be joined, or another host is there."""
    host, _, port = address.rpartition(":")
    plain = socket.create_connection((host.strip("[]"), int(port)), JOIN_SECONDS)
    try:
        secured = mutual_tls.client(files).wrap_socket(plain)
        if (named := mutual_tls.node_of(secured.getpeercert())) != node:
            raise ConnectionRefusedError(f"node {named} is at {address}, not {node}")
        secured.sendall(ticket.encode())
        _tune(secured)
        return Link(secured)
    except BaseException:
        plain.close()
        raise


def accept(listener: socket.socket, ticket: str, files: Path) -> Link | None:
    """The connection that waits at the listener, if it is of the cluster and has the ticket."""
    plain, _ = listener.accept()
    plain.settimeout(JOIN_SECONDS)
    secured = plain
    try:
        secured = mutual_tls.server(files).wrap_socket(plain, server_side=True)
        told = b""
        while len(told) < len(ticket) and (more := secured.recv(len(ticket) - len(told))):
            told += more
        if hmac.compare_digest(told, ticket.encode()):
            _tune(secured)
            return Link(secured)
    except OSError:
        pass
    secured.close()
    return None
