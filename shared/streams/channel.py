"""One end of a live stream."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from shared.streams.frames import FRAME_HEADER

CHUNK = 256 << 10


class Channel(Protocol):
    """A two-way byte stream with flow control and half-close."""

    sock: socket.socket | None
    """The raw socket of a local stream (for writing in bulk, and for watching), else None."""

    async def read(self, limit: int = CHUNK) -> bytes:
        """What came, at most `limit` bytes; b"" when the other side has ended its direction; else `ConnectionError`."""

    async def write(self, data: bytes) -> None:
        """Returns when the other side can take more. `ConnectionError`: it is gone."""

    async def write_frame(self, stream: int, payload: bytes) -> None:
        """One frame in Docker's multiplexed form."""

    async def write_eof(self) -> None:
        """Ends this direction; the other goes on."""

    def close(self) -> None:
        """Ends both directions at once."""


class LocalChannel:
    """A stream over a connected unix socket, non-blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock: socket.socket | None = sock
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    async def read(self, limit: int = CHUNK) -> bytes:
        return await self._loop.sock_recv(self._socket, limit)

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def write_frame(self, stream: int, payload: bytes) -> None:
        await self.write(FRAME_HEADER.pack(stream, len(payload)) + payload)

    def input(self) -> socket.socket:
        """The socket for somebody else to read from: all that comes, or is left."""
        return self._socket

    async def write_eof(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side was faster

    def close(self) -> None:
        """Who reads here meanwhile is woken; the other side can read on to the end of what was written."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
            while self._socket.recv(CHUNK):  # unread bytes would make the other side's end a connection reset
                pass
        except OSError:
            pass
        self._socket.close()


class ServedChannel(LocalChannel):
    """The offering side, made while the last byte of the ticket is unread.

    It stays so until input is read, or the stream is closed. Whose socket ends over an unread byte resets the
    connection (unix(7)), behind all that was written: so the taker of a stream that is broken off, or whose server was
    killed, gets a `ConnectionResetError` and does not take what came for the whole.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._marked = True

    def input(self) -> socket.socket:
        if self._marked:
            self._socket.recv(1)
            self._marked = False
        return super().input()

    async def read(self, limit: int = CHUNK) -> bytes:
        self.input()
        return await super().read(limit)

    def break_off(self) -> None:
        """Ends both directions without an end of either; after `close` nothing."""
        try:
            self._socket.shutdown(socket.SHUT_RD)  # who reads here is woken
        except OSError:
            pass
        self._socket.close()
