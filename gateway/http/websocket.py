"""WebSocket (RFC 6455), server side, as far as attach needs it: binary messages both ways, ping, close."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import InvalidArgument

from .inbox import ClientGone
from .message import Request
from .outlet import Duplex

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_DATA = (_CONTINUATION, _TEXT, _BINARY)
LONGEST = 1 << 20
"""Largest frame taken from a client."""
PROTOCOL_ERROR, TOO_BIG, NORMAL = 1002, 1009, 1000


class BrokenFrame(ValueError):
    """A frame that breaks the protocol; `code` is the status to close with."""

    def __init__(self, code: int) -> None:
        super().__init__(f"WebSocket status {code}")
        self.code = code


@dataclass(frozen=True)
class Frame:
    """One frame, unmasked."""

    opcode: int
    payload: bytes


def frame(opcode: int, payload: bytes) -> bytes:
    """A server's frame: final, unmasked."""
    first = 0x80 | opcode
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 1 << 16:
        return struct.pack(">BBH", first, 126, len(payload)) + payload
    return struct.pack(">BBQ", first, 127, len(payload)) + payload


class FrameReader:
    """Takes a client's frames out of a byte stream, however it is cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames complete so far; raises `BrokenFrame`."""
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        header = self._header()
        if header is None:
            return None
        opcode, start, length = header
        end = start + 4 + length
        if len(self._buffer) < end:
            return None
        mask, payload = self._buffer[start : start + 4], self._buffer[start + 4 : end]
        del self._buffer[:end]
        return Frame(opcode, _unmask(bytes(payload), bytes(mask)))

    def _header(self) -> tuple[int, int, int] | None:
        """Opcode, where the mask begins, and the payload's length."""
        if len(self._buffer) < 2:
            return None
        first, second = self._buffer[0], self._buffer[1]
        if first & 0x70 or not second & 0x80:  # reserved bits, or not masked as a client must
            raise BrokenFrame(PROTOCOL_ERROR)
        length, start = second & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(self._buffer) < 2 + size:
                return None
            length, start = int.from_bytes(self._buffer[2 : 2 + size], "big"), 2 + size
        if length > LONGEST:
            raise BrokenFrame(TOO_BIG)
        return first & 0x0F, start, length


def _unmask(payload: bytes, mask: bytes) -> bytes:
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


def check(request: Request) -> str:
    """The key of the client's handshake; raises `InvalidArgument` when there is none."""
    key = request.headers.get("sec-websocket-key", "")
    if request.headers.get("upgrade", "").lower() != "websocket" or not key:
        raise InvalidArgument("not a WebSocket handshake: Upgrade and Sec-WebSocket-Key are needed")
    return key


def accept(request: Request) -> WebSocket:
    """Switches the connection over; raises `InvalidArgument` when the client did not ask for it.

    Messages are binary since API 1.28, before that text.
    """
    key = check(request)
    digest = hashlib.sha1(key.encode() + _GUID.encode(), usedforsecurity=False).digest()
    answer = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n"
    )
    return WebSocket(request.hijack(answer.encode()), text=request.version < (1, 28))


class WebSocket:
    """Bytes both ways, like the raw connection beneath."""

    def __init__(self, duplex: Duplex, text: bool = False) -> None:
        self._duplex = duplex
        self._kind = _TEXT if text else _BINARY
        self._frames = FrameReader()
        self._closed = False

    async def read(self) -> bytes:
        """The client's next data; b"" once it has closed."""
        while not self._closed:
            data = await self._duplex.read()
            if not data:
                break
            payload = await self._take(data)
            if payload:
                return payload
        return b""

    async def _take(self, data: bytes) -> bytes:
        payload = b""
        try:
            for frame in self._frames.feed(data):
                if frame.opcode in _DATA:
                    payload += frame.payload
                elif frame.opcode == _PING:
                    await self._send(_PONG, frame.payload)
                elif frame.opcode == _CLOSE:
                    await self._end(frame.payload[:2] or struct.pack(">H", NORMAL))
        except BrokenFrame as error:
            await self._end(struct.pack(">H", error.code))
        return payload

    async def _end(self, code: bytes) -> None:
        """Good-bye is answered at once: clients wait for that before they end the connection."""
        if not self._closed:
            self._closed = True
            await self._send(_CLOSE, code)

    async def _send(self, opcode: int, payload: bytes) -> None:
        await self._duplex.write(frame(opcode, payload))

    async def write(self, data: bytes) -> None:
        """Sends one message; raises `ClientGone` once good-bye was said, which ends both directions."""
        if self._closed:
            raise ClientGone
        await self._send(self._kind, data)

    def fileno(self) -> int:
        return self._duplex.fileno()

    def close(self) -> None:
        """Says good-bye and ends the connection."""
        self._duplex.finish(b"" if self._closed else frame(_CLOSE, struct.pack(">H", NORMAL)))
