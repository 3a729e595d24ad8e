"""Tar headers (POSIX.1-2017 pax and ustar, GNU extensions): bytes to values, without reading any data.

Written out instead of taken from `tarfile`, because every length in a header is an attacker's: here nothing
is read or allocated on its word. (And 20,000 headers take two thirds of the time.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

BLOCK = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
CONTIGUOUS, GNU_SPARSE, GNU_LONG_NAME, GNU_LONG_LINK = b"7", b"S", b"L", b"K"
PAX, PAX_SOLARIS, PAX_GLOBAL = b"x", b"X", b"g"
_XATTR, _SPARSE = "SCHILY.xattr.", "GNU.sparse."
_SPARSE_ENTRY = 24


class TarError(Exception):
    """The bytes are no tar archive, or a damaged one. The text is for people."""


@dataclass(slots=True)
class Header:
    """One entry. Times in nanoseconds since the epoch; `holes`: (offset, length) of the data parts of a sparse file."""

    name: str
    kind: bytes = REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: str = ""
    major: int = 0
    minor: int = 0
    xattrs: dict[str, bytes] = field(default_factory=dict)
    real_size: int = -1
    parts: list[tuple[int, int]] | None = None
    extended: bool = False
    map_in_data: bool = False


def padded(size: int) -> int:
    """Bytes that `size` bytes of data take in an archive."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def text(raw: bytes) -> str:
    """A name as the file system's: bytes that are not UTF-8 survive the way there and back."""
    return raw.decode("utf-8", "surrogateescape")


def number(raw: bytes) -> int:
    """An octal field, or GNU's base-256 form; raises `TarError`."""
    if raw[:1] >= b"\xc0":
        return int.from_bytes(raw, "big", signed=True)
    if raw[:1] >= b"\x80":
        return int.from_bytes(raw, "big") - (1 << (8 * len(raw) - 1))
    digits = raw.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return _octal(digits)


def _octal(digits: bytes) -> int:
    """The number before the first zero byte: some writers leave garbage behind it."""
    try:
        return int(digits.partition(b"\0")[0], 8)
    except ValueError:
        raise TarError(f"archive/tar: invalid tar header: not a number: {digits[:12]!r}") from None


def parse(block: bytes) -> Header | None:
    """The header in one block, None for a block of zeros; raises `TarError`."""
    if len(block) != BLOCK:
        raise TarError("unexpected EOF: the archive ends inside a header")
    stored = block[148:156]
    total = sum(block) - sum(stored) + 8 * 32
    if total == 8 * 32:
        return None
    if number(stored) != total:
        raise TarError("archive/tar: invalid tar header")
    header = Header(
        name=_until_zero(block[0:100]),
        kind=block[156:157],
        mode=number(block[100:108]) & 0o7777,
        uid=number(block[108:116]),
        gid=number(block[116:124]),
        size=number(block[124:136]),
        mtime=number(block[136:148]) * 1_000_000_000,
        link=_until_zero(block[157:257]),
    )
    _finish(header, block)
    return header


def _finish(header: Header, block: bytes) -> None:
    magic = block[257:263]
    if header.size < 0:
        raise TarError(f"invalid tar header: negative size of {header.name[:100]!r}")
    if header.kind in (CHARACTER, BLOCK_DEVICE):
        header.major, header.minor = number(block[329:337]), number(block[337:345])
    if magic == b"ustar\0" and block[345]:
        header.name = f"{_until_zero(block[345:500])}/{header.name}"
    if header.kind == b"\0":
        header.kind = DIRECTORY if header.name.endswith("/") else REGULAR
    elif header.kind == CONTIGUOUS:
        header.kind = REGULAR
    elif header.kind == GNU_SPARSE:
        header.real_size, header.extended = number(block[483:495]), block[482] != 0
        header.parts = sparse_entries(block[386:482])


def _until_zero(raw: bytes) -> str:
    return text(raw.partition(b"\0")[0])


def sparse_entries(raw: bytes) -> list[tuple[int, int]]:
    """(offset, length) pairs of GNU's old sparse form."""
    found = []
    for start in range(0, len(raw) - _SPARSE_ENTRY + 1, _SPARSE_ENTRY):
        if not raw[start]:
            break
        found.append((number(raw[start : start + 12]), number(raw[start + 12 : start + 24])))
    return found


def parse_pax(data: bytes) -> list[tuple[str, bytes]]:
    """The records of a pax extended header: length, blank, key, `=`, value, newline; raises `TarError`."""
    records: list[tuple[str, bytes]] = []
    at = 0
    while at < len(data) and data[at] != 0:
        space = data.find(b" ", at, at + 21)
        digits = data[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        if end <= space or end > len(data) or data[end - 1 : end] != b"\n":
            raise TarError("archive/tar: invalid tar header: damaged pax record")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise TarError("archive/tar: invalid tar header: pax record without key")
        records.append((text(key), value))
        at = end
    return records


def apply_pax(header: Header, records: list[tuple[str, bytes]]) -> None:
    """Takes the records over into the header they stand before; unknown keys are ignored; raises `TarError`."""
    for key, value in records:
        if key.startswith(_XATTR):
            header.xattrs[key.removeprefix(_XATTR)] = value
        elif not value:
            continue  # an empty value takes back an earlier one
        elif key in _PLAIN:
            setattr(header, _PLAIN[key], text(value))
        elif key in _NUMBERS:
            setattr(header, _NUMBERS[key], _decimal(value))
        elif key == "mtime":
            header.mtime = _time(value)
    _apply_sparse(header, [(key, value) for key, value in records if key.startswith(_SPARSE)])


def _apply_sparse(header: Header, records: list[tuple[str, bytes]]) -> None:
    """GNU's sparse files: 0.0 has a record for each number, 0.1 one with all of them, 1.0 has them in the data."""
    offsets = [_decimal(value) for key, value in records if key == "GNU.sparse.offset"]
    lengths = [_decimal(value) for key, value in records if key == "GNU.sparse.numbytes"]
    if offsets:
        header.parts = list(zip(offsets, lengths, strict=False))
    for key, value in records:
        if key == "GNU.sparse.map" and value:
            numbers = [_decimal(each) for each in value.split(b",")]
            header.parts = list(zip(numbers[::2], numbers[1::2], strict=False))
        elif key == "GNU.sparse.major":
            header.map_in_data = _decimal(value) == 1


_PLAIN = {"path": "name", "linkpath": "link", "GNU.sparse.name": "name"}
_NUMBERS = {
    "uid": "uid",
    "gid": "gid",
    "size": "size",
    "GNU.sparse.size": "real_size",
    "GNU.sparse.realsize": "real_size",
}


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise TarError(f"archive/tar: invalid tar header: not a number: {value[:30]!r}")
    return int(value)


def _time(value: bytes) -> int:
    """Seconds with a fraction, before the epoch too."""
    whole, _, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    nanos = int((fraction[:9] or b"0").ljust(9, b"0")) if fraction[:9].isdigit() or not fraction else 0
    total = _decimal(whole.removeprefix(b"-")) * 1_000_000_000 + nanos
    return -total if negative else total


def check_parts(header: Header) -> list[tuple[int, int]]:
    """The data parts of a sparse file in order, checked against the sizes; raises `TarError`."""
    at = 0
    total = 0
    for offset, length in header.parts or []:
        if offset < at or length < 0:
            raise TarError(f"invalid sparse map of {header.name[:100]!r}")
        at, total = offset + length, total + length
    if at > header.real_size or total != header.size:
        raise TarError(f"invalid sparse map of {header.name[:100]!r}")
    return header.parts or []
