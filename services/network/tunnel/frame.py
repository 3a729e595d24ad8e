"""Messages in datagrams: how one is cut and put together again. Values to values.

A datagram is `SPI, index, count, sequence` (network byte order, 16 bytes) and its piece of the sealed message; all
pieces but the last have the same length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = struct.Struct(">IHHQ")
ROOM = HEADER.size
MOST_SEGMENTS = 64
"""UDP_MAX_SEGMENTS of kernels before 6.9."""
MOST_BYTES = 65507
"""The longest UDP payload over IPv4."""
MOST_PIECES = 512
"""Of one message; more are no message of ours."""
OPEN_MESSAGES = 16
"""Of one session, of which not all pieces have come; the oldest makes way for a further one."""
MOST_SEALED = 1 << 17
"""Bytes kept of one of them: pieces are kept before they are known to be genuine, and no message is that long."""

Burst = tuple[list[bytes | memoryview], int]
"""What one call sends, and the length of each datagram but the last."""


def cut(spi: int, sequence: int, sealed: memoryview, datagram: int) -> Iterator[Burst]:
    """The bursts that carry a sealed message in datagrams of at most so many bytes, headers included."""
    piece = datagram - ROOM
    count = -(-len(sealed) // piece)
    most = min(MOST_SEGMENTS, MOST_BYTES // datagram)
    pack = HEADER.pack
    for begin in range(0, count, most):
        parts: list[bytes | memoryview] = []
        for index in range(begin, min(begin + most, count)):
            parts.append(pack(spi, index, count, sequence))
            parts.append(sealed[index * piece : (index + 1) * piece])
        yield parts, datagram


class Joiner:
    """Puts messages of one session together. What never becomes whole is forgotten."""

    def __init__(self) -> None:
        self._open: dict[int, _Message] = {}

    def add(self, data: memoryview, size: int) -> Iterator[tuple[int, bytes]]:
        """Sequence number and sealed bytes of each message made whole by datagrams received together.

        `size`: the length of each datagram but the last. Datagrams of one call may be of several messages.
        """
        begin = 0
        while begin + ROOM <= len(data):
            _, index, count, sequence = HEADER.unpack_from(data, begin)
            if not index < count <= MOST_PIECES:
                return
            run = self._run(data, begin, size, count - index, sequence)
            pieces = [data[at + ROOM : at + size] for at in range(begin, begin + run * size, size)]
            begin += run * size
            if run == count:
                yield sequence, b"".join(pieces)
            elif whole := self._keep(sequence, index, count, run, b"".join(pieces)):
                yield sequence, whole

    @staticmethod
    def _run(data: memoryview, begin: int, size: int, most: int, sequence: int) -> int:
        """How many datagrams from `begin` on are of this message: the network keeps order, so the last one tells."""
        run = min(most, -(-(len(data) - begin) // size))
        while run > 1:
            at = begin + (run - 1) * size
            if at + ROOM > len(data):
                run -= 1
                continue
            _, first, _, _ = HEADER.unpack_from(data, begin)
            _, last, _, other = HEADER.unpack_from(data, at)
            if other == sequence and last == first + run - 1:
                break
            run -= 1
        return run

    def _keep(self, sequence: int, index: int, count: int, run: int, data: bytes) -> bytes:
        message = self._open.get(sequence)
        if message is None:
            if len(self._open) >= OPEN_MESSAGES:
                del self._open[next(iter(self._open))]
            message = self._open[sequence] = _Message()
        if index not in message.parts:
            message.parts[index] = data
            message.seen += run
            message.size += len(data)
        if message.size > MOST_SEALED:
            del self._open[sequence]
            return b""
        if message.seen != count:
            return b""
        del self._open[sequence]
        return b"".join(message.parts[at] for at in sorted(message.parts))


class _Message:
    __slots__ = ("parts", "seen", "size")

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}
        self.seen = self.size = 0
