"""Tar headers from values: ustar (POSIX.1-1988), with a pax header before it for what does not fit there.

The same values give the same bytes: what is written so can be compared by digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .tar import BLOCK, PAX, Header, padded

END = bytes(2 * BLOCK)
"""What ends an archive."""
_LONGEST_NAME, _LONGEST_LINK = 100, 100
_LARGEST_ID, _LARGEST_SIZE, _LATEST = 0o7777777, 0o77777777777, 0o77777777777
_SECOND = 1_000_000_000
_BUFFER = 1 << 20
_ZEROS = bytes(1 << 20)

Parts = Iterable[tuple[int, bytes | memoryview]]
"""Data of a file in order: (offset, bytes); what lies between is zeros."""


def encode(header: Header) -> bytes:
    """The header's block, and before it its pax records where it needs some. `holes` and `parts` are not written."""
    records = _records(header)
    block = _block(header, header.kind, header.size)
    if not records:
        return block
    data = b"".join(_record(key, value) for key, value in records)
    extended = Header(name="PaxHeaders/" + header.name.rstrip("/").rpartition("/")[2][:80], mode=0o644)
    return _block(extended, PAX, len(data)) + data.ljust(padded(len(data)), b"\0") + block


def padding(size: int) -> bytes:
    """What follows `size` bytes of data."""
    return bytes(padded(size) - size)


def _records(header: Header) -> list[tuple[str, bytes]]:
    name, link = _bytes(header.name), _bytes(header.link)
    records: list[tuple[str, bytes]] = []
    if len(name) > _LONGEST_NAME or not name.isascii():
        records.append(("path", name))
    if len(link) > _LONGEST_LINK or not link.isascii():
        records.append(("linkpath", link))
    for key, value, largest in (
        ("uid", header.uid, _LARGEST_ID), ("gid", header.gid, _LARGEST_ID), ("size", header.size, _LARGEST_SIZE),
    ):  # fmt: skip
        if value > largest:
            records.append((key, b"%d" % value))
    seconds, fraction = divmod(header.mtime, _SECOND)
    if fraction or not 0 <= seconds <= _LATEST:
        records.append(("mtime", _time(header.mtime)))
    records += [(f"SCHILY.xattr.{key}", value) for key, value in sorted(header.xattrs.items())]
    return records


def _time(nanoseconds: int) -> bytes:
    sign, (seconds, fraction) = "-" if nanoseconds < 0 else "", divmod(abs(nanoseconds), _SECOND)
    return f"{sign}{seconds}.{fraction:09d}".rstrip("0").rstrip(".").encode()


def _record(key: str, value: bytes) -> bytes:
    """Length, blank, key, `=`, value, newline, where the length counts its own digits too."""
    body = b" " + _bytes(key) + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return b"%d" % length + body


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _octal(value: int, width: int, largest: int) -> bytes:
    """What does not fit is in the pax header, where readers look first."""
    return b"%0*o\0" % (width - 1, value if 0 <= value <= largest else 0)


def _block(header: Header, kind: bytes, size: int) -> bytes:
    head = b"".join((
        _bytes(header.name)[:_LONGEST_NAME].ljust(100, b"\0"),
        _octal(header.mode & 0o7777, 8, _LARGEST_ID),
        _octal(header.uid, 8, _LARGEST_ID),
        _octal(header.gid, 8, _LARGEST_ID),
        _octal(size, 12, _LARGEST_SIZE),
        _octal(header.mtime // _SECOND, 12, _LATEST),
        b" " * 8,
        kind,
        _bytes(header.link)[:_LONGEST_LINK].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        _octal(header.major, 8, _LARGEST_ID),
        _octal(header.minor, 8, _LARGEST_ID),
    )).ljust(BLOCK, b"\0")  # fmt: skip
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


class TarWriter:
    """Writes entries one after the other; small ones are gathered. `zeros` takes a count of zero bytes."""

    def __init__(self, write: Callable[[bytes | memoryview], None], zeros: Callable[[int], None] | None = None) -> None:
        self._write, self._zeros = write, zeros or self._plain_zeros
        self._gathered = bytearray()
        self.size = 0
        """Bytes of the archive so far."""

    def add(self, header: Header, parts: Parts = ()) -> None:
        """An entry with `header.size` bytes of data, whatever the parts have: cut, or filled up with zeros."""
        self._put(encode(header))
        at = 0
        for offset, piece in parts:
            self._gap(min(offset, header.size) - at)
            at = max(at, min(offset, header.size))
            piece = piece[: header.size - at]
            self._put(piece)
            at += len(piece)
        self._gap(header.size - at)
        self._put(padding(header.size))

    def end(self) -> None:
        """The two blocks that end an archive, and all that was gathered."""
        self._put(END)
        self._flush()

    def _put(self, data: bytes | memoryview) -> None:
        self.size += len(data)
        if len(data) >= _BUFFER // 4:
            self._flush()
            self._write(data)
            return
        self._gathered += data
        if len(self._gathered) >= _BUFFER:
            self._flush()

    def _gap(self, count: int) -> None:
        if 0 < count <= BLOCK:
            self._put(bytes(count))
        elif count > 0:
            self._flush()
            self.size += count
            self._zeros(count)

    def _plain_zeros(self, count: int) -> None:
        while count > 0:
            self._write(_ZEROS[: min(count, len(_ZEROS))])
            count -= len(_ZEROS)

    def _flush(self) -> None:
        if self._gathered:
            self._write(bytes(self._gathered))
            self._gathered.clear()
