"""Bytes that arrive from a client: a queue between the transport's callbacks and a reader, with flow control."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

HIGH_WATER = 512 << 10
"""Bytes held for a reader that is slower than its client; then reading from the client stops."""
READ_SIZE = 256 << 10


class ClientGone(ConnectionError):
    """The client closed its connection before all its bytes had arrived."""


class Inbox:
    """One reader, one feeder. `pause` and `resume` stop and continue the source."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause, self._resume = pause, resume
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._eof = False
        self._lost = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def complete(self) -> bool:
        """All bytes have arrived (they may not have been read yet)."""
        return self._eof

    def feed(self, data: bytes) -> None:
        """Appends bytes; stops the source when the reader is far behind."""
        if not data or self._eof:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def feed_eof(self) -> None:
        self._eof = True
        self._wake()

    def fail(self) -> None:
        """The connection is gone: a reader that waits for more gets `ClientGone`."""
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """At least one byte and at most `limit`; b"" at the end. Raises `ClientGone`."""
        while not self._chunks:
            if self._eof:
                return b""
            if self._lost:
                raise ClientGone("the client closed the connection")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take(limit)

    def _take(self, limit: int) -> bytes:
        chunk = self._chunks.popleft()
        if len(chunk) > limit:
            self._chunks.appendleft(chunk[limit:])
            chunk = chunk[:limit]
        self._size -= len(chunk)
        if self._paused and self._size < HIGH_WATER // 2:
            self._paused = False
            self._resume()
        return chunk
