"""One suite for both ways of a stream: the socket on one host, and the bus between two, in both worlds."""

from __future__ import annotations

import asyncio
import contextlib
import resource

import pytest

from shared import telemetry
from shared.errors import NotFound, Unavailable
from shared.streams import FRAME_HEADER, Streams, frame, streams
from shared.streams.frames import Deframer
from tests.support.streams import MEGABYTE, echo, read_all


@pytest.fixture(params=["local", "remote"])
def way(request):
    return request.param


@pytest.fixture
async def server(world):
    return await world.kernel("executor")


@pytest.fixture
async def client(world, way, server):
    return await world.kernel("gateway", "node1" if way == "local" else "node2")


async def test_what_goes_in_comes_out_and_half_close_ends_it(server, client):
    channel = await client.streams.take(server.streams.offer(echo))
    await channel.write(b"hello")
    assert await channel.read() == b"hello"
    await channel.write(b"bye")
    await channel.write_eof()
    assert await read_all(channel) == b"bye"
    assert await channel.read() == b""
    channel.close()


async def test_what_is_done_for_a_stream_is_in_the_trace_of_who_asked_for_it(server, client):
    records: list[telemetry.SpanRecord] = []
    stop = telemetry.configure("test", "node1", records.append)

    async def serve(channel) -> None:
        with telemetry.span("work"):
            await channel.write(b"done")

    with telemetry.span("request"):
        offer = server.streams.offer(serve)
    channel = await client.streams.take(offer)
    assert await read_all(channel) == b"done"
    channel.close()
    stop()
    spans = {each.name: each for each in records}
    assert (spans["work"].trace_id, spans["work"].parent_id) == (spans["request"].trace_id, spans["request"].span_id)


async def test_a_slow_reader_loses_nothing_and_stops_the_writer(server, client):
    written = 0

    async def serve(channel) -> None:
        nonlocal written
        for _ in range(20):
            await channel.write(MEGABYTE)
            written += 1

    channel = await client.streams.take(server.streams.offer(serve))
    first = await channel.read(10)
    await asyncio.sleep(0.05)
    assert written < 10
    assert first + await read_all(channel) == MEGABYTE * 20
    channel.close()


async def test_both_directions_flow_at_once(server, client):
    channel = await client.streams.take(server.streams.offer(echo))

    async def send() -> None:
        for _ in range(8):
            await channel.write(MEGABYTE)
        await channel.write_eof()

    sending = asyncio.ensure_future(send())
    assert await read_all(channel) == MEGABYTE * 8
    await sending
    channel.close()


async def test_reads_are_as_short_as_asked(server, client):
    async def serve(channel) -> None:
        await channel.write(b"abcdef")

    channel = await client.streams.take(server.streams.offer(serve))
    got = [await channel.read(4)]
    while data := await channel.read(4):
        got.append(data)
    assert b"".join(got) == b"abcdef"
    assert max(map(len, got)) <= 4
    channel.close()


async def test_frames_have_dockers_form(server, client):
    async def serve(channel) -> None:
        await channel.write_frame(1, b"out")
        await channel.write_frame(2, b"")

    offer = server.streams.offer(serve)
    assert offer.framed
    channel = await client.streams.take(offer)
    got = await read_all(channel)
    assert got == frame(1, b"out") + FRAME_HEADER.pack(2, 0)
    assert list(Deframer().feed(got)) == [(1, b"out"), (2, b"")]
    channel.close()


async def taken_again(client, offer) -> None:
    channel = await client.streams.take(offer)
    try:
        await channel.read()
    finally:
        channel.close()


async def test_an_offer_is_taken_once(server, client):
    offer = server.streams.offer(echo)
    channel = await client.streams.take(offer)
    await channel.write(b"x")
    await channel.read()
    with pytest.raises((ConnectionResetError, NotFound)):
        await taken_again(client, offer)
    await channel.write(b"still there")
    assert await channel.read() == b"still there"
    channel.close()


async def test_an_offer_runs_out(server, client, monkeypatch):
    monkeypatch.setattr(streams, "OFFER_SECONDS", 0.0)
    expired = asyncio.Event()
    offer = server.streams.offer(echo, expired=expired.set)
    await expired.wait()
    monkeypatch.undo()
    with pytest.raises((ConnectionResetError, NotFound)):
        await taken_again(client, offer)


async def test_offers_of_a_server_that_is_no_more_are_refused(server, client, world):
    offer = server.streams.offer(echo)
    await server.streams.close()
    with pytest.raises((ConnectionResetError, NotFound, Unavailable)):
        async with asyncio.timeout(60):
            await taken_again(client, offer)


async def test_a_successor_takes_over_the_place_but_not_the_offers(server, client, world):
    offer = server.streams.offer(echo)
    await server.streams.close()
    successor = await world.kernel("executor")
    with pytest.raises((ConnectionResetError, NotFound, Unavailable)):  # remotely, before the successor is heard of
        await taken_again(client, offer)
    channel = await client.streams.take(successor.streams.offer(echo))
    await channel.write(b"x")
    assert await channel.read() == b"x"
    channel.close()


async def test_a_taker_that_leaves_is_noticed_by_who_writes_and_who_reads(server, client):
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def serve(channel) -> None:
        async def write() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await channel.write(MEGABYTE)
            ended.put_nowait("write")

        async def read() -> None:
            with contextlib.suppress(ConnectionError):
                while await channel.read():
                    pass
            ended.put_nowait("read")

        await asyncio.gather(write(), read())

    channel = await client.streams.take(server.streams.offer(serve))
    await channel.read()
    channel.close()
    async with asyncio.timeout(60):
        assert {await ended.get(), await ended.get()} == {"write", "read"}


async def test_a_server_that_ends_without_reading_its_input_is_no_reset(server, client):
    async def serve(channel) -> None:
        await channel.read(1)
        await channel.write(b"enough")

    channel = await client.streams.take(server.streams.offer(serve))
    await channel.write(b"x" * 100_000)
    await asyncio.sleep(0.01)
    assert await read_all(channel) == b"enough"
    channel.close()


async def test_closing_wakes_who_reads(server, client):
    channel = await client.streams.take(server.streams.offer(echo))
    reading = asyncio.ensure_future(channel.read())
    await asyncio.sleep(0.01)
    channel.close()
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            assert await reading == b""
    assert reading.done()


async def test_a_cancelled_read_loses_nothing(server, client):
    channel = await client.streams.take(server.streams.offer(echo))
    for number in range(50):
        reading = asyncio.ensure_future(channel.read())
        await asyncio.sleep(0)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
            raise AssertionError("read nothing that was not written")
        await channel.write(b"%02d" % number)
        assert await channel.read() == b"%02d" % number
    channel.close()


async def test_without_a_free_descriptor_takers_wait(world, server, way):
    if way == "remote":
        return
    client = await world.kernel("gateway")
    offer = server.streams.offer(echo)
    taking = asyncio.ensure_future(client.streams.take(offer))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await asyncio.sleep(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        channel = await taking
        await asyncio.sleep(0.02)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await channel.write(b"x")
    async with asyncio.timeout(60):
        assert await channel.read() == b"x"
    channel.close()


async def test_many_streams_at_once(server, client):
    async def one(number: int) -> bool:
        channel = await client.streams.take(server.streams.offer(echo))
        text = b"%d" % number * 1000
        await channel.write(text)
        await channel.write_eof()
        got = await read_all(channel)
        channel.close()
        return got == text

    assert all(await asyncio.gather(*(one(number) for number in range(100))))


async def test_the_socket_is_for_its_owner_only(server):
    path = server.settings.run_path / "streams" / "executor.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o007 == 0


async def test_a_connection_without_a_ticket_is_closed(server):
    path = str(server.settings.run_path / "streams" / "executor.sock")
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"short")
    writer.write_eof()
    assert await reader.read() == b""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"x" * 32)
    with pytest.raises(ConnectionResetError):
        await reader.read()


async def test_a_ticket_may_come_in_pieces(server):
    offer = server.streams.offer(echo)
    reader, writer = await asyncio.open_unix_connection(offer.path)
    for piece in (offer.ticket[:5], offer.ticket[5:-1], offer.ticket[-1:] + "in"):
        writer.write(piece.encode())
        await writer.drain()
        await asyncio.sleep(0.01)  # so that each is read by itself
    assert await reader.readexactly(2) == b"in"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


async def test_streams_are_made_anew_over_what_a_predecessor_left(world, directory):
    kernel = await world.kernel("volume")
    folder = kernel.settings.run_path / "streams"
    (folder / "network.sock").write_text("left over")
    made = Streams(kernel.bus, folder, "network", folder)
    await made.open()
    channel = await kernel.streams.take(made.offer(echo))
    await channel.write(b"x")
    assert await channel.read() == b"x"
    channel.close()
    await made.close()


@pytest.mark.parametrize("failure", [Unavailable("the log is gone"), OSError("not a gzip file")], ids=repr)
async def test_a_stream_whose_server_fails_does_not_look_whole(server, client, failure):
    async def serve(channel) -> None:
        await channel.write(b"half")
        raise failure

    channel = await client.streams.take(server.streams.offer(serve))
    assert await channel.read() == b"half"
    with pytest.raises(ConnectionResetError):
        await channel.read()
    channel.close()


async def test_a_stream_whose_server_is_stopped_does_not_look_whole(server, client):
    async def serve(channel) -> None:
        await channel.write(b"half")
        await asyncio.Event().wait()

    channel = await client.streams.take(server.streams.offer(serve))
    assert await channel.read() == b"half"
    await server.streams.close()
    with pytest.raises(ConnectionResetError):
        await channel.read()
    channel.close()
