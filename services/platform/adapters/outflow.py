"""Sending from a thread what a channel of the event loop takes."""

from __future__ import annotations

import asyncio
import select
import socket

from shared.streams import Channel


class Outflow:
    """`write` blocks until the other side can take more. `ConnectionError`: it is gone."""

    def __init__(self, channel: Channel) -> None:
        """Made in the event loop; nothing else may write to the channel until `close`."""
        self._channel, self._loop = channel, asyncio.get_running_loop()
        # A descriptor of its own: the loop may close the channel's, and its number be used again, at any time.
        self._socket: socket.socket | None = channel.sock.dup() if channel.sock is not None else None

    def write(self, data: bytes | memoryview) -> None:
        if self._socket is None:
            asyncio.run_coroutine_threadsafe(self._channel.write(bytes(data)), self._loop).result()
            return
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._wait(self._socket)

    @staticmethod
    def _wait(sock: socket.socket) -> None:
        waiting = select.poll()
        waiting.register(sock, select.POLLOUT)
        waiting.poll()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
