from __future__ import annotations

import asyncio

import pytest

from gateway.http.inbox import HIGH_WATER, ClientGone, Inbox


class Source:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.inbox = Inbox(lambda: self.log.append("pause"), lambda: self.log.append("resume"))


async def test_bytes_come_in_order_and_in_pieces_no_larger_than_asked_for() -> None:
    inbox = Source().inbox
    inbox.feed(b"hello")
    inbox.feed(b"world")
    inbox.feed_eof()
    assert [await inbox.read(3), await inbox.read(), await inbox.read(), await inbox.read()] == [
        b"hel",
        b"lo",
        b"world",
        b"",
    ]


async def test_a_reader_waits_for_bytes() -> None:
    inbox = Source().inbox
    waiting = asyncio.get_running_loop().create_task(inbox.read())
    await asyncio.sleep(0)
    inbox.feed(b"x")
    assert await waiting == b"x"


async def test_the_source_stops_while_the_reader_is_behind_and_goes_on_after() -> None:
    source = Source()
    source.inbox.feed(b"x" * (HIGH_WATER + 1))
    source.inbox.feed(b"y")
    assert source.log == ["pause"]
    while source.log == ["pause"]:
        await source.inbox.read(64 << 10)
    assert source.log == ["pause", "resume"]


async def test_what_arrived_before_the_client_went_can_still_be_read() -> None:
    inbox = Source().inbox
    inbox.feed(b"last")
    inbox.fail()
    assert await inbox.read() == b"last"
    with pytest.raises(ClientGone):
        await inbox.read()


async def test_complete_tells_that_all_has_arrived() -> None:
    inbox = Source().inbox
    assert not inbox.complete
    inbox.feed_eof()
    assert inbox.complete
