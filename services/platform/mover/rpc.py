"""criu's remote procedure calls: `criu swrk` waits on a socket for what it is to do, and asks there before it goes on.

Messages are protobuf (https://criu.org/RPC, `images/rpc.proto`), one a packet. Only what is used here is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

DUMP, RESTORE, NOTIFY = 1, 2, 6
MOST = 1 << 16
"""Bytes of an answer."""
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
_NEGATIVE = 1 << 64

Value = int | str | bytes


class Said(NamedTuple):
    """What criu says: how a request ended, or (kind `NOTIFY`) that it has come to `action`, and waits for `go_on`."""

    kind: int
    success: bool
    action: str = ""
    pid: int = 0
    error: str = ""


def message(fields: Iterable[tuple[int, Value]]) -> bytes:
    """Numbers of fields and values; a negative number is an int32's."""
    return b"".join(_field(number, value) for number, value in fields)


def request(kind: int, options: Iterable[tuple[int, Value]]) -> bytes:
    """`options`: of `criu_opts`."""
    return message(((1, kind), (2, message(options))))


def go_on(agreed: bool) -> bytes:
    """The answer to a notification; without agreement criu takes back what it did, where it can."""
    return message(((1, NOTIFY), (3, int(agreed))))


def said(answer: bytes) -> Said:
    """`ValueError` for what is no answer."""
    fields = dict(_fields(answer))
    about = dict(_fields(_part(fields.get(5) or fields.get(4) or b"")))
    kind, success = int(fields.get(1, 0)), bool(fields.get(2, 0))
    error = _part(fields.get(9, b"")).decode(errors="replace")
    if kind == NOTIFY:
        return Said(kind, success, _part(about.get(1, b"")).decode(), int(about.get(2, 0)))
    return Said(kind, success, pid=int(about.get(1, 0)), error=error)


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value % _NEGATIVE)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """A number, seven bits a byte, the lowest first."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends. `ValueError`: it does not end."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
    raise ValueError("a number without an end")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = read_varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = read_varint(data, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + length > len(data):
            raise ValueError("a field without an end")
        yield key >> 3, data[at : at + length]
        at += length


def _part(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError(f"the number {value} for bytes")
    return value
