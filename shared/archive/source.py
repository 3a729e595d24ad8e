"""Byte sources of the unpacking helper: chunks from a descriptor, decompressed and counted.

Each chunk is hashed when it comes and handed on in place: every byte is read once. All output is bounded
per step, whatever the input claims, and in total by `Limits`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .compression import HEAD, recognise
from .tar import TarError

CHUNK = 1 << 20
STEP = 64 << 10
"""Compressed bytes that are undone at once: each counts only when it is its turn."""
RATIO_FREE = 64 << 20
"""Bytes that may come out of anything: small archives of zeros are no attack."""
MOST_IMPLIED = 100_000
"""Directories that names of an archive go through and no entry of it describes: one name may go through thousands."""
ZSTD_WINDOW = 128 << 20
XZ_MEMORY = 256 << 20


class LimitError(Exception):
    """The archive is larger than what is set. The text is for people."""


@dataclass(frozen=True)
class Limits:
    """Bytes and entries that one archive may unpack to, and bytes out for each byte in."""

    bytes: int
    entries: int
    ratio: int


def read_chunks(descriptor: int) -> Iterator[bytes]:
    """What the descriptor holds, to its end."""
    while chunk := os.read(descriptor, CHUNK):
        yield chunk


def read_frames(descriptor: int) -> Iterator[bytes]:
    """The payloads of length-prefixed frames until the empty one: a stream with an end inside another stream."""
    while length := int.from_bytes(read_exactly(descriptor, 4), "big"):
        while length:
            piece = os.read(descriptor, min(length, CHUNK))
            if not piece:
                raise TarError("the stream was broken off")
            length -= len(piece)
            yield piece


def read_exactly(descriptor: int, size: int) -> bytes:
    """That many bytes; `TarError` when there are fewer."""
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            raise TarError("the stream was broken off")
        data += piece
    return data


class Source:
    """The decompressed bytes of a stream: `digest` and `size` say afterwards what passed."""

    def __init__(self, chunks: Iterator[bytes], limits: Limits, hashed: bool = True) -> None:
        self._limits = limits
        self._hash = hashlib.sha256() if hashed else None
        self.consumed = self.size = 0
        head, rest = _peek(chunks)
        compression = recognise(head)
        self._chunks = _OPENERS[compression](self._counted(rest if compression == "none" else _steps(rest)))
        self._chunk = memoryview(b"")
        self._at = 0

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest() if self._hash else ""

    @property
    def position(self) -> int:
        """How many decompressed bytes have been handed out."""
        return self.size - len(self._chunk) + self._at

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.consumed += len(chunk)
            yield chunk

    def _next(self) -> bool:
        """Moves on to the next chunk; False at the end."""
        for chunk in self._chunks:
            if not chunk:
                continue
            self.size += len(chunk)
            self._check()
            if self._hash:
                self._hash.update(chunk)
            self._chunk, self._at = memoryview(chunk), 0
            return True
        self._chunk, self._at = memoryview(b""), 0
        return False

    def _check(self) -> None:
        if self.size > self._limits.bytes:
            raise LimitError(f"the archive unpacks to more than {self._limits.bytes} bytes (max_unpack_bytes)")
        if self.size > RATIO_FREE and self.size > self.consumed * self._limits.ratio:
            raise LimitError(f"the archive unpacks to more than {self._limits.ratio} times its size (max_unpack_ratio)")

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes as they lie in memory; `TarError` when the stream ends before."""
        while size:
            if self._at == len(self._chunk) and not self._next():
                raise TarError("unexpected EOF: the archive ends inside an entry")
            piece = self._chunk[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, few enough to hold; b"" when the stream has ended right here."""
        end = self._at + size
        if end <= len(self._chunk):
            data = self._chunk[self._at : end]
            self._at = end
            return bytes(data)
        if self._at == len(self._chunk) and not self._next():
            return b""
        return b"".join(self.pieces(size))

    def some(self) -> memoryview | None:
        """What is at hand next, whatever its size; None at the end."""
        if self._at == len(self._chunk) and not self._next():
            return None
        piece, self._at = self._chunk[self._at :], len(self._chunk)
        return piece

    def skip(self, size: int) -> None:
        for _ in self.pieces(size):
            pass

    def skip_padding(self, size: int) -> None:
        """As `skip`, but the stream may end before: some writers (umoci's `insert`) leave out the last padding."""
        while size and (self._at < len(self._chunk) or self._next()):
            step = min(size, len(self._chunk) - self._at)
            self._at, size = self._at + step, size - step

    def drain(self) -> None:
        """Reads on to the end: what follows an archive's end still counts for its digest."""
        while self._next():
            pass


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break

    def again() -> Iterator[bytes]:
        yield head
        yield from chunks

    return head, again()


def _steps(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, at most `STEP` at once."""
    for chunk in chunks:
        for at in range(0, len(chunk), STEP):
            yield chunk[at : at + STEP]


def _plain(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return chunks


def _members(chunks: Iterator[bytes], make: Any, what: str, errors: Any) -> Iterator[bytes]:
    """Streams one after the other, as gzip, bzip2 and xz files may hold; output in bounded pieces."""
    decompressor = make()
    fresh = True
    try:
        for chunk in chunks:
            data, full = chunk, False
            while data or full:
                fresh = False
                out = decompressor.decompress(data, CHUNK)
                yield out
                data, full = getattr(decompressor, "unconsumed_tail", b""), len(out) == CHUNK
                if decompressor.eof:
                    data, full, decompressor, fresh = decompressor.unused_data, False, make(), True
    except errors as error:
        raise TarError(f"{what}: {error}") from None
    if not fresh:
        raise TarError(f"{what}: unexpected EOF")


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from isal import isal_zlib

    return _members(chunks, lambda: isal_zlib.decompressobj(wbits=31), "gzip", (isal_zlib.error,))


def _bzip2(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import bz2

    return _members(chunks, bz2.BZ2Decompressor, "bzip2", (OSError, EOFError))


def _xz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import lzma

    return _members(chunks, lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY), "xz", (lzma.LZMAError, EOFError))


class _Reader:
    """What zstandard reads from: the chunks as a file, in small pieces, so that its output stays bounded."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).stream_reader(
        _Reader(chunks),  # type: ignore[arg-type]  # it needs only `read`
        read_across_frames=True,
    )
    try:
        while chunk := reader.read(CHUNK):
            yield chunk
    except zstandard.ZstdError as error:
        raise TarError(f"zstd: {error}") from None


_OPENERS = {"none": _plain, "gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "zstd": _zstd}
_MODULES = {"gzip": "isal.isal_zlib", "bzip2": "bz2", "xz": "lzma", "zstd": "zstandard"}


def load(*compressions: str) -> None:
    """Imports what undoing these takes: who gives up its root does it before. Without any: for all there are."""
    for compression in compressions or _MODULES:
        if compression in _MODULES:
            import_module(_MODULES[compression])
