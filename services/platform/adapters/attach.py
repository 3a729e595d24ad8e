"""Joining a client's stream with a monitor's attach socket.

The monitor's packets are one byte for the stream (2 stdout, 3 stderr), then at most 8 KiB of it. They are turned
into Docker's frames in place: a packet is received so that its first byte falls on the last byte of the frame's
header, which is then written over it; many packets go out in one write.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from shared.streams import Channel
from shared.streams.frames import FRAME_HEADER

from .monitor import STDIN_CHUNK

PACKET = 1 + (32 << 10)
"""Longest packet a monitor sends, with room to spare."""
BATCH = 512 << 10
_STDOUT = 2


def connect_now(folder: Path) -> socket.socket:
    """The attach socket of the monitor of that bundle, non-blocking. `OSError` when it is gone.

    A unix socket that listens is joined at once, whether its owner looks or not.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # by descriptor, because a socket's path may have 107 bytes only
        connection.connect(f"/proc/self/fd/{descriptor}/attach")
        connection.setblocking(False)
    except OSError:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection


class Output:
    """From the monitor to the client."""

    def __init__(self, connection: socket.socket, framed: bool, stdout: bool = True, stderr: bool = True) -> None:
        self._connection, self._framed = connection, framed
        self._wanted = (stdout, stderr)
        self._head = FRAME_HEADER.size if framed else 0
        self._buffer = bytearray(BATCH + PACKET + FRAME_HEADER.size)
        self._view = memoryview(self._buffer)

    async def run(self, channel: Channel) -> None:
        """Ends when the monitor has sent everything. `ConnectionError`: the client is gone."""
        while output := await self._batch():
            await channel.write(output)

    async def discard(self) -> None:
        """Keeps reading so that the workload is not held up, and throws it away."""
        while await self._batch():
            pass

    async def _batch(self) -> bytes:
        """What there is, at least one packet of a wanted stream; empty: the end."""
        position = 1
        while position == 1:
            saved = self._buffer[position + self._head - 1]
            length = await self._receive(self._window(position))
            if not length:
                return b""
            position = self._take(position, length, saved)
        while position < BATCH:
            saved = self._buffer[position + self._head - 1]
            try:
                length = self._connection.recv_into(self._window(position))
            except (BlockingIOError, ConnectionResetError):
                break
            if not length:
                break
            position = self._take(position, length, saved)
        return bytes(self._view[1:position])

    async def _receive(self, view: memoryview) -> int:
        """One packet. A monitor that ended with input unread causes a reset; its output still waits behind."""
        try:
            return await asyncio.get_running_loop().sock_recv_into(self._connection, view)
        except ConnectionResetError:
            return self._connection.recv_into(view)

    def _window(self, position: int) -> memoryview:
        start = position + self._head - 1
        return self._view[start : start + PACKET]

    def _take(self, position: int, length: int, saved: int) -> int:
        """Makes a packet just received the next frame; the position after it."""
        at = position + self._head - 1
        kind = self._buffer[at] - _STDOUT
        self._buffer[at] = saved
        if not (0 <= kind <= 1 and self._wanted[kind]):
            return position
        if self._framed:
            FRAME_HEADER.pack_into(self._buffer, position, kind + 1, length - 1)
        return position + self._head + length - 1


async def feed(channel: Channel, connection: socket.socket) -> None:
    """From the client to the monitor; the client's half-close becomes the end of the program's input."""
    loop = asyncio.get_running_loop()
    while data := await channel.read():
        for start in range(0, len(data), STDIN_CHUNK):
            await loop.sock_sendall(connection, data[start : start + STDIN_CHUNK])
    connection.shutdown(socket.SHUT_WR)
