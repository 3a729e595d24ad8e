"""The end of a local stream, on a bare pair of sockets."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from shared.streams.channel import LocalChannel, ServedChannel


@pytest.fixture
async def pair():
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    channels = [LocalChannel(end) for end in ends]
    yield channels
    for channel in channels:
        channel.close()


async def test_closing_twice_and_after_the_other_side_is_fine(pair):
    here, there = pair
    await here.write_eof()
    there.close()
    there.close()
    await here.write_eof()
    here.close()
    here.close()
    assert here.sock.fileno() == -1


async def test_writing_to_who_left_is_a_connection_error(pair):
    here, there = pair
    there.close()
    with pytest.raises(ConnectionError):
        await here.write(b"x" * (1 << 20))


async def test_closing_frees_the_descriptor_though_somebody_reads(pair):
    """Else it would stay open, and the other side would wait for ever."""
    here, there = pair
    reading = asyncio.ensure_future(here.read())
    await asyncio.sleep(0)
    here.close()
    assert await reading == b""
    assert await there.read() == b""


async def test_unread_bytes_do_not_make_the_end_a_reset(pair):
    here, there = pair
    await here.write(b"unread" * 1000)
    await there.write(b"last words")
    there.close()
    assert await here.read() == b"last words"
    assert await here.read() == b""


async def test_a_reader_that_does_not_read_stops_the_writer(pair):
    here, there = pair
    writing = asyncio.ensure_future(here.write(b"x" * (8 << 20)))
    await asyncio.sleep(0.01)
    assert not writing.done()
    got = 0
    while got < 8 << 20:
        got += len(await there.read())
    await writing


async def test_the_raw_socket_is_there_for_bulk(pair):
    here, there = pair
    await here.write(b"x")
    await asyncio.sleep(0)
    assert there.sock.recv(10) == b"x"
    with pytest.raises(BlockingIOError) as caught:
        there.sock.recv(10)
    assert caught.value.errno == errno.EAGAIN


@pytest.fixture
async def served():
    """The taker's end, and the offering side with a byte of the ticket unread."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    near.send(b"t")
    channels = LocalChannel(near), ServedChannel(far)
    yield channels
    for channel in channels:
        channel.close()


async def test_who_breaks_off_is_not_taken_for_one_who_has_ended(served):
    here, there = served
    await there.write(b"half")
    there.break_off()
    assert await here.read() == b"half"
    with pytest.raises(ConnectionResetError):
        await here.read()


async def test_closing_is_an_end(served):
    here, there = served
    await there.write(b"all")
    there.close()
    there.break_off()
    assert await here.read() == b"all"
    assert await here.read() == b""


async def test_the_byte_of_the_ticket_is_no_input(served):
    here, there = served
    await here.write(b"input")
    await here.write_eof()
    assert await there.read() == b"input"
    assert await there.read() == b""


async def test_who_reads_the_socket_itself_gets_the_input(served):
    here, there = served
    await here.write(b"input")
    assert there.input().recv(100) == b"input"
    assert there.input() is there.sock


async def test_breaking_off_wakes_who_reads(served):
    _, there = served
    reading = asyncio.ensure_future(there.read())
    await asyncio.sleep(0)
    there.break_off()
    assert await reading == b""
