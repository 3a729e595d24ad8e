from __future__ import annotations

import struct
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.inbox import ClientGone, Inbox
from gateway.http.message import Request
from gateway.http.websocket import LONGEST, BrokenFrame, Frame, FrameReader, WebSocket, check, frame
from shared.errors import InvalidArgument


def masked(opcode: int, payload: bytes, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@given(st.lists(st.binary(max_size=300)), st.binary(min_size=4, max_size=4), st.lists(st.integers(0, 9)))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    payloads: list[bytes], mask: bytes, sizes: list[int]
) -> None:
    data = b"".join(masked(2, payload, mask) for payload in payloads)
    reader, out = FrameReader(), []
    for size in [*sizes, len(data)]:
        part, data = data[:size], data[size:]
        out += list(reader.feed(part))
    assert out == [Frame(2, payload) for payload in payloads]


def test_a_long_frame() -> None:
    payload = b"x" * 70_000
    assert list(FrameReader().feed(masked(2, payload))) == [Frame(2, payload)]


def test_a_servers_frames() -> None:
    assert frame(2, b"hi") == b"\x82\x02hi"
    assert frame(2, b"x" * 200)[:4] == b"\x82\x7e\x00\xc8"
    assert frame(2, b"x" * 70_000)[:10] == b"\x82\x7f" + (70_000).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x82\x02hi", 1002), (b"\xc2\x82", 1002), (b"\x82\xff" + (LONGEST + 1).to_bytes(8, "big"), 1009)],
)
def test_broken_frames_are_refused(data: bytes, code: int) -> None:
    with pytest.raises(BrokenFrame) as caught:
        list(FrameReader().feed(data))
    assert caught.value.code == code


class Wire:
    """The hijacked connection beneath."""

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.sent = [*parts, b""], b""

    async def read(self) -> bytes:
        return self.parts.pop(0)

    async def write(self, data: bytes) -> None:
        self.sent += data

    def finish(self, last: bytes) -> None:
        self.sent += last


async def test_a_ping_is_answered_and_a_close_ends_the_reading() -> None:
    wire = Wire(masked(9, b"p"), masked(2, b"a") + masked(0, b"b"), masked(8, b"") + masked(2, b"late"))
    socket = WebSocket(cast("Any", wire))
    assert [await socket.read(), await socket.read()] == [b"ab", b"late"]
    assert await socket.read() == b""
    assert wire.sent == b"\x8a\x01p" + b"\x88\x02\x03\xe8", "good-bye is answered at once"
    with pytest.raises(ClientGone):
        await socket.write(b"x")
    socket.close()
    assert wire.sent == b"\x8a\x01p" + b"\x88\x02\x03\xe8"


async def test_the_server_says_good_bye_first() -> None:
    wire = Wire()
    socket = WebSocket(cast("Any", wire))
    await socket.write(b"x")
    socket.close()
    assert wire.sent == b"\x82\x01x" + b"\x88\x02\x03\xe8"


async def test_messages_may_be_text() -> None:
    wire = Wire()
    await WebSocket(cast("Any", wire), text=True).write(b"x")
    assert wire.sent == b"\x81\x01x"


async def test_a_broken_frame_closes_with_its_code() -> None:
    wire = Wire(b"\x82\x02hi")
    assert await WebSocket(cast("Any", wire)).read() == b""
    assert wire.sent == b"\x88\x02\x03\xea"


@pytest.mark.parametrize("headers", [{}, {"upgrade": "tcp", "sec-websocket-key": "x"}, {"upgrade": "websocket"}])
def test_another_handshake_is_refused(headers: dict[str, str]) -> None:
    inbox = Inbox(lambda: None, lambda: None)
    with pytest.raises(InvalidArgument, match="WebSocket"):
        check(Request(cast("Any", None), "GET", "/", "", headers, inbox))
