"""Files on their way from and to a registry: hashed as they pass. Blocking; called in threads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

CHUNK = 1 << 20
LEVEL = 1
"""isal's level: compresses about as well as gzip -3, several times faster."""


class Sink:
    """The file a blob is written to. `at`: the bytes it has."""

    def __init__(self, file: int, begin: int) -> None:
        self._file, self.at = file, begin
        self._hash = hashlib.sha256()
        self._hashed = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def catch_up(self) -> None:
        """Hashes what the file has from an earlier time; a file that is shorter than thought starts anew."""
        while self._hashed < self.at:
            piece = os.pread(self._file, min(CHUNK, self.at - self._hashed), self._hashed)
            if not piece:
                self.restart()
                return
            self._hash.update(piece)
            self._hashed += len(piece)

    def restart(self) -> None:
        """Forgets all bytes so far."""
        os.ftruncate(self._file, 0)
        self._hash = hashlib.sha256()
        self.at = self._hashed = 0

    def take(self, piece: bytes) -> None:
        """Writes and hashes the next bytes."""
        rest = memoryview(piece)
        at = self.at
        while rest:
            written = os.pwrite(self._file, rest, at)
            rest, at = rest[written:], at + written
        self._hash.update(piece)
        self.at = self._hashed = at


class Source:
    """The bytes to send of a file, compressed by gzip or as they are; `passed` counts those read."""

    def __init__(self, file: int, compress: bool) -> None:
        self._file, self._compress = file, compress
        self._hash = hashlib.sha256()
        self.passed = self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def pieces(self) -> Iterator[bytes]:
        """All of them; `digest` and `size` are those of what has been given out."""
        for piece in self._gzip() if self._compress else self._plain():
            self._hash.update(piece)
            self.size += len(piece)
            yield piece

    def _plain(self) -> Iterator[bytes]:
        while piece := os.pread(self._file, CHUNK, self.passed):
            self.passed += len(piece)
            yield piece

    def _gzip(self) -> Iterator[bytes]:
        from isal import isal_zlib

        compressor = isal_zlib.compressobj(LEVEL, wbits=31)
        for piece in self._plain():
            if out := compressor.compress(piece):
                yield out
        yield compressor.flush()
