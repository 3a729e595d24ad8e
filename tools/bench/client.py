"""A client that costs little: raw Docker API calls over one kept-alive unix connection, and raw streams.

The measured time of a call is the engine's, not that of a client library.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import Any

PREFIX = "/v1.41"
"""Understood by every engine to be compared (dockerd 20.10 has it as its newest)."""
TIMEOUT = 300.0
RECEIVE = 1 << 20


class ApiError(RuntimeError):
    """An answer of 400 or more: status and the message that the engine gave."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Incomplete(RuntimeError):
    """A stream ended before all bytes that were written had come."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = dial(self.path)


class Api:
    """Calls to one engine. Not for several threads at once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: socket.socket | None = None
        self._reader: BufferedReader | None = None

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """The body of the answer; raises `ApiError`. 304 (nothing to do) counts as success.

        `body` is sent as JSON, or as an archive when it is bytes.
        """
        try:
            status, content = self._exchange(method, path, body)
        except (ConnectionResetError, BrokenPipeError):
            status, content = self._exchange(method, path, body)  # the engine had ended an idle connection
        if status >= 400:
            raise ApiError(status, content.decode(errors="replace").strip())
        return content

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        try:
            if self._connection is None or self._reader is None:
                self._connection = dial(self.path)
                self._reader = BufferedReader(self._connection.makefile("rb", 0), RECEIVE)
            if isinstance(body, bytes):
                self._connection.sendall(head(method, path, {}, len(body), "application/x-tar"))
                self._connection.sendall(body)
            else:
                self._connection.sendall(request(method, path, {}, body))
            status, content, last = read_answer(self._reader)
        except OSError:
            self.close()
            raise
        if last:
            self.close()
        return status, content

    def json(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(self.call(method, path, body))

    def close(self) -> None:
        if self._connection is not None and self._reader is not None:
            self._reader.close()
            self._connection.close()
        self._connection = self._reader = None


def read_answer(reader: BufferedReader) -> tuple[int, bytes, bool]:
    """Status and body of the next answer, and whether the connection ends with it. Not for answers to HEAD."""
    line = reader.readline()
    if not line:
        raise ConnectionResetError("the engine closed the connection")
    status, length, chunked, last = int(line.split(None, 2)[1]), -1, False, False
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = b"chunked" in value
        elif name == b"connection":
            last = b"close" in value
    if status in (204, 304):
        return status, b"", last
    if chunked:
        return status, b"".join(_chunks(reader)), last
    return status, reader.read(length), last or length < 0


def _chunks(reader: BufferedReader) -> Iterator[bytes]:
    while size := int(reader.readline().split(b";")[0] or b"0", 16):
        yield reader.read(size)
        reader.readline()
    reader.readline()


def dial(path: str, timeout: float = TIMEOUT) -> socket.socket:
    """A new connection to the unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    connection.connect(path)
    return connection


def request(method: str, path: str, headers: Mapping[str, str], body: object = None) -> bytes:
    """The bytes of an HTTP/1.1 request with a JSON body, or with none."""
    data = b"" if body is None else json.dumps(body).encode()
    return head(method, path, headers, len(data), "" if body is None else "application/json") + data


def head(method: str, path: str, headers: Mapping[str, str], size: int, kind: str) -> bytes:
    """The head of a request with a body of `size` bytes and that type; with none where the type is empty."""
    lines = [f"{method} {PREFIX}{path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}"]
    if kind:
        lines.append(f"Content-Type: {kind}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


CLOSE: Mapping[str, str] = {"Connection": "close"}
UPGRADE: Mapping[str, str] = {"Connection": "Upgrade", "Upgrade": "tcp"}


def receive_all(connection: socket.socket) -> bytes:
    """Everything until the engine closes; nothing is looked at meanwhile, so that the client is never the brake."""
    parts = []
    while part := connection.recv(RECEIVE):
        parts.append(part)
    return b"".join(parts)


def receive_head(connection: socket.socket) -> bytes:
    """Bytes up to and with the end of the answer's head, and what came with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(RECEIVE)
        if not part:
            raise Incomplete(f"connection closed inside the head: {head[:200]!r}")
        head += part
    return head


def body_of(answer: bytes) -> bytes:
    """The body of a whole HTTP answer, taken out of its chunks where it has some; raises `ApiError`."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status >= 400:
        raise ApiError(status, rest.decode(errors="replace").strip())
    return dechunk(rest) if b"transfer-encoding: chunked" in head.lower() else rest


def dechunk(data: bytes) -> bytes:
    """RFC 9112 section 7.1, for data known to be whole or cut at the end."""
    parts, position = [], 0
    while (end := data.find(b"\r\n", position)) >= 0:
        size = int(data[position:end].split(b";")[0] or b"0", 16)
        if size == 0:
            break
        parts.append(data[end + 2 : end + 2 + size])
        position = end + 2 + size + 2
    return b"".join(parts)


def payload_size(stream: bytes) -> int:
    """Payload bytes in Docker's multiplexed stream (8 byte headers); all bytes when it has no such headers."""
    position = total = 0
    while position + 8 <= len(stream):
        kind, zeros, size = struct.unpack_from(">B3sI", stream, position)
        if kind > 3 or zeros != b"\0\0\0":
            return len(stream)
        total += min(size, len(stream) - position - 8)
        position += 8 + size
    return total
