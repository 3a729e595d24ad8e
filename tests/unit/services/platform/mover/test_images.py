"""criu's pagemap images, as its documentation describes them."""

from __future__ import annotations

import struct

import pytest

from services.platform.mover.images import left_out
from services.platform.mover.store import PAGE


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def message(**fields: int) -> bytes:
    """Fields by number: `f1=...`."""
    return b"".join(varint(int(name[1:]) << 3) + varint(value) for name, value in fields.items())


def image(*entries: bytes) -> bytes:
    return bytes(8) + b"".join(struct.pack("<I", len(entry)) + entry for entry in (message(f1=7), *entries))


def test_only_pages_that_come_later_are_told() -> None:
    here = message(f1=0x400000, f2=3, f4=4)
    lazy_but_here = message(f1=0x500000, f2=1, f4=6)
    later, later_with_many = message(f1=0x7F0000000000, f2=2, f4=2), message(f1=0x1000, f4=2, f5=70000)
    told = list(left_out(image(here, lazy_but_here, later, later_with_many)))
    assert told == [(0x7F0000000000, 2 * PAGE), (0x1000, 70000 * PAGE)]


@pytest.mark.parametrize("cut", [9, 11, 16])
def test_a_broken_image_is_refused(cut: int) -> None:
    whole = image(message(f1=0x400000, f2=3, f4=4))
    with pytest.raises(ValueError, match=r"ends in|without an end"):
        list(left_out(whole[:cut]))


def test_fields_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="field 1 is no number"):
        list(left_out(image(b"\x0a\x01x")))
