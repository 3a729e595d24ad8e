"""Where a handler writes what is not a whole answer: a chunked stream, or a connection handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .inbox import READ_SIZE, ClientGone, Inbox

if TYPE_CHECKING:
    from .connection import Connection


class Stream:
    """A streamed answer. Chunked, or, for HTTP/1.0, ended by closing."""

    def __init__(self, connection: Connection, chunked: bool, silent: bool) -> None:
        self._connection = connection
        self._chunked, self._silent = chunked, silent
        self.ended = False

    async def write(self, data: bytes) -> None:
        """Sends; waits while the client is slower. Raises `ClientGone`."""
        if not data or self._silent:
            return
        if self._chunked:
            self._connection.send((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            self._connection.send((data,))
        await self._connection.drain()

    def end(self) -> None:
        """The answer is complete."""
        if not self.ended:
            self.ended = True
            if self._chunked and not self._silent:
                self._connection.send((b"0\r\n\r\n",))

    def break_off(self) -> None:
        """The answer ends incomplete, and does not look complete: the last chunk is missing (RFC 9112 section 8)."""
        self.ended = True
        if self._chunked:
            self._connection.close()
        else:
            self._connection.abort()


class Duplex:
    """A hijacked connection: raw bytes both ways, each direction ended by itself."""

    def __init__(self, connection: Connection, inbox: Inbox) -> None:
        self._connection, self._inbox = connection, inbox

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """b"" once the client has half-closed. Raises `ClientGone`."""
        return await self._inbox.read(limit)

    async def write(self, data: bytes) -> None:
        """Sends; waits while the client is slower. Raises `ClientGone`."""
        self._connection.send((data,))
        await self._connection.drain()

    def fileno(self) -> int:
        return self._connection.fileno()

    def finish(self, last: bytes) -> None:
        """Sends last bytes, if the client is still there, and ends the connection."""
        try:
            self._connection.send((last,))
        except ClientGone:
            return
        self._connection.close()

    def close(self) -> None:
        """Ends the connection after what was written."""
        self._connection.close()
