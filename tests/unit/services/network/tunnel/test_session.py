"""Sealing and opening."""

from __future__ import annotations

import os

import pytest

from services.network.tunnel.session import TAG_BYTES, WINDOW, Inbound, Outbound

MATERIAL = bytes(range(36))


def sealed(outbound: Outbound, message: bytes) -> tuple[int, bytes]:
    room = memoryview(bytearray(len(message) + TAG_BYTES))
    sequence, data = outbound.seal(memoryview(message), room)
    return sequence, bytes(data)


def opened(inbound: Inbound, sequence: int, data: bytes) -> bytes:
    room = memoryview(bytearray(1 << 16))
    return bytes(room[: inbound.open(sequence, data, room)])


def test_what_was_sealed_opens_once() -> None:
    out, into = Outbound(9, MATERIAL), Inbound(9, MATERIAL)
    message = os.urandom(5000)
    sequence, data = sealed(out, message)
    assert message[:100] not in data
    assert opened(into, sequence, data) == message
    assert opened(into, sequence, data) == b"", "a replay"


def test_nothing_else_opens() -> None:
    out, into = Outbound(9, MATERIAL), Inbound(9, MATERIAL)
    sequence, data = sealed(out, b"message")
    assert opened(into, sequence + 1, data) == b""
    assert opened(into, sequence, data[:-1] + bytes([data[-1] ^ 1])) == b""
    assert opened(into, sequence, data[:10]) == b""
    assert opened(Inbound(8, MATERIAL), sequence, data) == b"", "of another index"
    assert opened(Inbound(9, MATERIAL[::-1]), sequence, data) == b"", "of other keys"
    assert opened(into, sequence, data) == b"message", "what was refused leaves no trace"


def test_messages_may_be_late_within_the_window() -> None:
    out, into = Outbound(9, MATERIAL), Inbound(9, MATERIAL)
    all_ = [sealed(out, bytes([n % 256])) for n in range(WINDOW + 1)]
    assert opened(into, *all_[5]) == b"\x05"
    assert opened(into, *all_[-1]) == bytes([WINDOW % 256])
    assert opened(into, *all_[1]) == b"\x01", "late"
    assert opened(into, *all_[1]) == b"", "late and again"
    assert opened(into, *all_[5]) == b""
    assert opened(into, *all_[0]) == b"", "too late"


def test_a_gap_wider_than_the_window() -> None:
    out, into = Outbound(9, MATERIAL), Inbound(9, MATERIAL)
    assert opened(into, *sealed(out, b"one")) == b"one"
    out.sequence = 1 << 40
    assert opened(into, *sealed(out, b"two")) == b"two"
    assert opened(into, (1 << 40) + 1, b"x" * 30) == b""


def test_keys_are_counted() -> None:
    out = Outbound(9, MATERIAL)
    assert sealed(out, b"123")[0] == 1
    assert sealed(out, b"123")[0] == 2
    assert out.octets == 6


def test_short_material_is_refused() -> None:
    with pytest.raises(ValueError, match="36"):
        Outbound(9, bytes(32))
