from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from gateway.http.inbox import ClientGone, Inbox
from gateway.http.outlet import Duplex, Stream


class Wire:
    """What a connection would send."""

    def __init__(self) -> None:
        self.sent = b""
        self.gone = self.closed = self.aborted = False

    def send(self, parts: Sequence[bytes]) -> None:
        if self.gone:
            raise ClientGone("gone")
        self.sent += b"".join(parts)

    async def drain(self) -> None:
        pass

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


async def test_chunks_have_their_size_and_an_end() -> None:
    wire = Wire()
    stream = Stream(cast("Any", wire), chunked=True, silent=False)
    await stream.write(b"x" * 17)
    await stream.write(b"")
    stream.end()
    stream.end()
    assert wire.sent == b"11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"


async def test_an_answer_that_is_broken_off_lacks_its_end() -> None:
    wire = Wire()
    stream = Stream(cast("Any", wire), chunked=True, silent=False)
    await stream.write(b"half")
    stream.break_off()
    stream.end()
    assert wire.sent == b"4\r\nhalf\r\n"
    assert (wire.closed, wire.aborted) == (True, False)


async def test_a_plain_answer_that_is_broken_off_is_reset() -> None:
    """Its end is the connection's."""
    wire = Wire()
    Stream(cast("Any", wire), chunked=False, silent=False).break_off()
    assert (wire.closed, wire.aborted) == (False, True)


async def test_a_plain_stream_has_no_frame() -> None:
    wire = Wire()
    stream = Stream(cast("Any", wire), chunked=False, silent=False)
    await stream.write(b"x")
    stream.end()
    assert wire.sent == b"x"


async def test_the_answer_to_head_says_nothing() -> None:
    wire = Wire()
    stream = Stream(cast("Any", wire), chunked=True, silent=True)
    await stream.write(b"x")
    stream.end()
    assert wire.sent == b""


async def test_a_duplex_reads_and_writes_raw_bytes() -> None:
    wire, inbox = Wire(), Inbox(lambda: None, lambda: None)
    duplex = Duplex(cast("Any", wire), inbox)
    inbox.feed(b"in")
    await duplex.write(b"out")
    assert (await duplex.read(), wire.sent, duplex.fileno()) == (b"in", b"out", 7)
    duplex.close()
    assert wire.closed
    wire.gone = True
    with pytest.raises(ClientGone):
        await duplex.write(b"more")
