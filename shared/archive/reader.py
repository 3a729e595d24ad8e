"""Walking through a tar stream once, entry by entry, with limits on all that is held in memory."""

from __future__ import annotations

from collections.abc import Iterator

from . import tar
from .source import LimitError, Limits, Source
from .tar import BLOCK, Header, TarError

LONGEST_HEADER = 1 << 20
"""Bytes of extended headers of one entry."""
MOST_PARTS = 1 << 16
_DIGITS = 20


class TarReader:
    """Iterates the headers. After each, `data()` may give the entry's bytes; what is left of them is skipped.

    `ended`: whether the archive's own end came; a stream that was cut between two entries has none.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source, self._limits = source, limits
        self._globals: list[tuple[str, bytes]] = []
        self._left = self._padding = 0
        self.entries = 0
        self.ended = False

    def __iter__(self) -> Iterator[Header]:
        while (header := self._read()) is not None:
            self.entries += 1
            if self.entries > self._limits.entries:
                raise LimitError(f"the archive has more than {self._limits.entries} entries (max_unpack_entries)")
            yield header
            self._source.skip(self._left)
            self._source.skip_padding(self._padding)
        self._source.drain()

    def data(self) -> Iterator[memoryview]:
        """The bytes of the present entry."""
        left, self._left = self._left, 0
        return self._source.pieces(left)

    def _read(self) -> Header | None:
        """The next entry with all that stands before it; None at the end."""
        records, name, link = list(self._globals), "", ""
        while True:
            block = self._source.read(BLOCK)
            header = tar.parse(block) if block else None
            if header is None:
                self.ended = bool(block)
                return None
            if header.kind in (tar.PAX, tar.PAX_SOLARIS):
                records += tar.parse_pax(self._extended(header))
            elif header.kind == tar.PAX_GLOBAL:
                self._globals = tar.parse_pax(self._extended(header))
                records = list(self._globals)
            elif header.kind == tar.GNU_LONG_NAME:
                name = self._long(header)
            elif header.kind == tar.GNU_LONG_LINK:
                link = self._long(header)
            else:
                return self._entry(header, records, name, link)

    def _extended(self, header: Header) -> bytes:
        if header.size > LONGEST_HEADER:
            raise LimitError(f"an extended header of {header.size} bytes; at most {LONGEST_HEADER} are taken")
        data = self._source.read(tar.padded(header.size)) if header.size else b""
        if len(data) < header.size:
            raise TarError("unexpected EOF: the archive ends inside a header")
        return data[: header.size]

    def _long(self, header: Header) -> str:
        return tar.text(self._extended(header).partition(b"\0")[0])

    def _entry(self, header: Header, records: list[tuple[str, bytes]], name: str, link: str) -> Header:
        header.name, header.link = name or header.name, link or header.link
        tar.apply_pax(header, records)
        if header.kind not in (tar.REGULAR, tar.GNU_SPARSE):
            header.size = 0 if header.kind in _WITHOUT_DATA else header.size
        elif header.name.endswith("/"):
            header.kind = tar.DIRECTORY
        self._left, self._padding = header.size, tar.padded(header.size) - header.size
        if header.extended or header.map_in_data:
            self._sparse_map(header)
        if header.parts is not None:
            header.real_size = max(header.real_size, 0)
            header.size = self._left
            tar.check_parts(header)
        return header

    def _sparse_map(self, header: Header) -> None:
        parts = header.parts if header.parts is not None else []
        header.parts = parts
        if header.map_in_data:
            self._map_in_data(header)
        while header.extended:
            block = self._source.read(BLOCK)
            if len(block) < BLOCK:
                raise TarError("unexpected EOF: the archive ends inside a header")
            parts += tar.sparse_entries(block[:504])
            self._check_parts(parts)
            header.extended = block[504] != 0

    def _check_parts(self, parts: list[tuple[int, int]]) -> None:
        if len(parts) > MOST_PARTS:
            raise LimitError(f"a sparse file of more than {MOST_PARTS} parts")

    def _map_in_data(self, header: Header) -> None:
        """pax 1.0: the map stands in the data's first blocks, as decimal numbers on lines of their own."""
        lines: list[bytes] = []
        wanted, rest = 1, b""
        while len(lines) < wanted:
            if self._left < BLOCK:
                raise TarError(f"invalid sparse map of {header.name[:100]!r}")
            self._left -= BLOCK
            *complete, rest = (rest + b"".join(self._source.pieces(BLOCK))).split(b"\n")
            lines += complete
            endless = len(lines) < wanted and len(rest) > _DIGITS
            if endless or any(not line.isdigit() or len(line) > _DIGITS for line in lines[:1]):
                raise TarError(f"invalid sparse map of {header.name[:100]!r}")
            wanted = 1 + 2 * int(lines[0]) if lines else 1
            if wanted > 2 * MOST_PARTS:
                raise LimitError(f"a sparse file of more than {MOST_PARTS} parts")
        if any(not line.isdigit() or len(line) > _DIGITS for line in lines[:wanted]):
            raise TarError(f"invalid sparse map of {header.name[:100]!r}")
        numbers = [int(line) for line in lines[1:wanted]]
        header.parts = list(zip(numbers[::2], numbers[1::2], strict=True))


_WITHOUT_DATA = (tar.HARD_LINK, tar.SYMLINK, tar.CHARACTER, tar.BLOCK_DEVICE, tar.DIRECTORY, tar.FIFO)
