"""The framing of several streams in one: Docker's multiplexed form. Pure.

Header: stream (0 stdin, 1 stdout, 2 stderr, 3 error), three zero bytes, payload length big endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

FRAME_HEADER = struct.Struct(">BxxxI")
STDIN, STDOUT, STDERR, SYSTEM_ERROR = range(4)
LONGEST = 16 << 20


def frame(stream: int, payload: bytes) -> bytes:
    """One frame."""
    return FRAME_HEADER.pack(stream, len(payload)) + payload


class Deframer:
    """Takes frames out of a byte stream, however it is cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames complete so far; `ValueError` for a stream or length that cannot be."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= FRAME_HEADER.size:
            stream, length = FRAME_HEADER.unpack_from(self._buffer, at)
            if stream > SYSTEM_ERROR or length > LONGEST:
                raise ValueError(f"not a frame: stream {stream}, length {length}")
            end = at + FRAME_HEADER.size + length
            if end > len(self._buffer):
                break
            yield stream, bytes(self._buffer[at + FRAME_HEADER.size : end])
            at = end
        del self._buffer[:at]

    @property
    def rest(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)
