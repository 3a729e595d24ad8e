"""Streams over the bus when something breaks on the way."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus import wire
from shared.bus.bus import Started
from shared.contracts.base import ROOT
from shared.errors import NotFound, Unavailable
from shared.streams import remote
from tests.support.streams import MEGABYTE, echo, read_all


@pytest.fixture
async def server(world):
    return await world.kernel("executor")


@pytest.fixture
async def client(world, server):
    return await world.kernel("gateway", "node2")


async def test_a_killed_broker_costs_no_byte(nats, broker):
    server, client = await nats.kernel("executor"), await nats.kernel("gateway", "node2")

    async def serve(channel) -> None:
        for _ in range(8):
            await channel.write(MEGABYTE)

    channel = await client.streams.take(server.streams.offer(serve))
    got = bytearray(await channel.read())
    for _ in range(3):
        broker.kill()
        broker.start()
        while len(got) % len(MEGABYTE) < len(MEGABYTE) // 2:
            got += await channel.read()
        got += await channel.read()
    assert bytes(got) + await read_all(channel) == MEGABYTE * 8
    channel.close()


async def test_a_killed_broker_costs_no_byte_of_what_is_sent(nats, broker):
    server, client = await nats.kernel("executor"), await nats.kernel("gateway", "node2")
    channel = await client.streams.take(server.streams.offer(echo))
    received = asyncio.ensure_future(read_all(channel))
    for _ in range(4):
        await channel.write(MEGABYTE)
        broker.kill()
        broker.start()
    await channel.write_eof()
    assert await received == MEGABYTE * 4
    channel.close()


async def test_a_taker_that_died_is_known_by_its_silence(server, client, monkeypatch):
    monkeypatch.setattr(remote, "SILENCE_SECONDS", 0.06)
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(channel) -> None:
        try:
            await channel.read()
        except ConnectionResetError as error:
            ended.set_result(str(error))

    channel = await client.streams.take(server.streams.offer(serve))
    await channel._tasks.close()
    async with asyncio.timeout(60):
        assert "gone" in await ended


async def test_who_cannot_be_told_anything_is_known_by_its_silence(server, client, monkeypatch):
    """As while a broker is away for so long that no more waits for it."""

    async def full(*message, **more) -> None:
        raise Unavailable("nothing more can be kept")

    channel = await client.streams.take(server.streams.offer(echo))
    monkeypatch.setattr(remote, "SILENCE_SECONDS", 0.06)
    monkeypatch.setattr(channel._bus.transport, "publish", full)
    keeping = channel._tasks.start(channel._keep_alive())
    async with asyncio.timeout(60):
        await keeping
    assert channel._broken
    channel.close()


async def test_a_server_that_died_is_known_by_the_next_one(world, server, client):
    """Long before its silence would tell: who follows a log at another host must not wait for a minute."""
    other = await world.kernel("gateway", "node3")
    channels = [await each.streams.take(server.streams.offer(echo)) for each in (client, other)]
    reading = [asyncio.ensure_future(channel.read()) for channel in channels]
    await asyncio.sleep(0)
    for service, node in (("executor", "node2"), ("platform", server.bus.node)):  # somebody else's
        started = Started(service=service, node=node, instance="i")
        await server.bus.transport.publish(f"{ROOT}.signals.{service}.started", wire.encode(started))
    for channel in channels:
        await channel.write(b"x")
    assert await asyncio.gather(*reading) == [b"x", b"x"]
    reading = [asyncio.ensure_future(channel.read()) for channel in channels]
    started = Started(service="executor", node=server.bus.node, instance="i")
    await server.bus.transport.publish(f"{ROOT}.signals.executor.started", wire.encode(started))
    async with asyncio.timeout(30):
        for each in await asyncio.gather(*reading, return_exceptions=True):
            assert isinstance(each, ConnectionResetError)
    for channel in channels:
        channel.close()


async def test_keep_alives_keep_an_idle_stream(server, client, monkeypatch):
    monkeypatch.setattr(remote, "SILENCE_SECONDS", 2.0)
    channel = await client.streams.take(server.streams.offer(echo))
    await asyncio.sleep(2.4)  # it would be broken by now
    await channel.write(b"x")
    assert await channel.read() == b"x"
    channel.close()


async def test_a_server_that_fails_is_a_reset_not_an_end(server, client):
    async def serve(channel) -> None:
        await channel.write(b"begin")
        raise Unavailable("the disk went away")

    channel = await client.streams.take(server.streams.offer(serve))
    assert await channel.read() == b"begin"
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await channel.read()
    with pytest.raises(ConnectionResetError):
        await channel.write(b"x")
    channel.close()


async def test_what_is_no_frame_changes_nothing(server, client):
    channel = await client.streams.take(server.streams.offer(echo))
    for payload in (b"", b"d", b"x" * 30, remote._HEAD.pack(b"c", 2**64 - 1, 2**64 - 1), remote._HEAD.pack(b"z", 0, 0)):
        await server.bus.transport.publish(channel._out, payload)
        await server.bus.transport.publish(channel._out.removesuffix("in") + "out", payload)
    await channel.write(b"hello")
    assert await channel.read() == b"hello"
    channel.close()


async def test_a_frame_behind_a_gap_is_asked_for(server, client):
    async def serve(channel) -> None:
        await channel.write(b"0")
        await channel.read()

    channel = await client.streams.take(server.streams.offer(serve))
    assert await channel.read() == b"0"
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    await server.bus.transport.subscribe(channel._out, lambda delivery: asked.put_nowait(delivery.payload[:1]))
    await server.bus.transport.flush()
    subject = channel._out.removesuffix("in") + "out"
    for number in (5, 6):
        await server.bus.transport.publish(subject, remote._HEAD.pack(b"d", number, 0) + b"x")
    assert await asked.get() == b"k"
    await channel.write(b"x")
    assert await asked.get() == b"d"  # asked once for one gap
    channel.close()


async def test_an_offer_of_a_host_that_is_gone_is_told_at_once(server, client):
    offer = server.streams.offer(echo)
    await server.streams.close()
    await server.bus.close()
    with pytest.raises((Unavailable, NotFound)):
        async with asyncio.timeout(60):
            await client.streams.take(offer)
