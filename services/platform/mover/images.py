"""The little of criu's images that must be known: which pages were left out of a dump.

An image has two magic numbers of 4 bytes, then entries, each a length (4 bytes, little endian) and a protobuf message.
`pagemap-<pid>.img`: the first is the number of the file with the pages; the others are ranges: 1 address, 2 or 5
pages, 4 flags (https://criu.org/Memory_images).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .rpc import read_varint
from .store import PAGE

MAGIC_BYTES = 8
LAZY, PRESENT = 2, 4
_LENGTH = struct.Struct("<I")


def left_out(image: bytes) -> Iterator[tuple[int, int]]:
    """Address and length in bytes of the ranges whose pages come later. `ValueError` for what is no such image."""
    for number, entry in enumerate(_entries(image)):
        fields = _fields(entry)
        if number and fields.get(4, PRESENT) & (LAZY | PRESENT) == LAZY:
            yield fields[1], (fields.get(5) or fields[2]) * PAGE


def _entries(image: bytes) -> Iterator[bytes]:
    at = MAGIC_BYTES
    while at < len(image):
        if at + _LENGTH.size > len(image):
            raise ValueError("an image that ends in a length")
        (length,) = _LENGTH.unpack_from(image, at)
        at += _LENGTH.size
        if at + length > len(image):
            raise ValueError("an image that ends in an entry")
        yield image[at : at + length]
        at += length


def _fields(message: bytes) -> dict[int, int]:
    """Numbers by field; all fields of these messages are varints."""
    fields, at = {}, 0
    while at < len(message):
        key, at = read_varint(message, at)
        if key & 7:
            raise ValueError(f"field {key >> 3} is no number")
        fields[key >> 3], at = read_varint(message, at)
    return fields
