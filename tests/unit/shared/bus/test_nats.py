"""What only a real broker does."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus import Delivery, NatsTransport, pending
from shared.bus import nats as module
from shared.bus.pending import Pending, Request
from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted, Unavailable
from tests.support.waiting import until


@pytest.fixture
async def transport(broker):
    made = await NatsTransport.connect(broker.url, "tester", broker.seed())
    yield made
    await made.close()


@pytest.fixture
async def volume(broker):
    """A connection with the rights of the volume service."""
    made = await NatsTransport.connect(broker.url, "volume", broker.seed("volume"))
    yield made
    await made.close()


async def echoing(transport: NatsTransport) -> asyncio.Queue[bytes]:
    """What the connection hears of itself on `loop`."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await transport.subscribe("loop", lambda delivery: heard.put_nowait(delivery.payload))
    await transport.flush()
    return heard


async def test_it_connects_as_soon_as_the_broker_is_there(broker):
    broker.kill()
    connecting = asyncio.ensure_future(NatsTransport.connect(broker.url, "tester", broker.seed()))
    await asyncio.sleep(0.1)
    assert not connecting.done()
    broker.start()
    transport = await connecting
    assert transport.connected
    await transport.close()


async def test_a_flush_proves_that_the_broker_has_processed_what_was_sent(volume):
    for number in range(20):
        await volume.publish(f"forbidden.{number}", b"")
        refused: list[str] = []
        forget = volume.on_refused(refused.append)
        await volume.flush()
        forget()
        assert refused == [f"forbidden.{number}"]


async def test_a_cancelled_flush_leaves_the_connection_well(transport):
    """The library stops reading for good at the answer to a cancelled flush."""
    heard = await echoing(transport)
    for _ in range(3):
        flushing = asyncio.ensure_future(transport.flush())
        await asyncio.sleep(0)
        flushing.cancel()
    await transport.flush()
    await transport.publish("loop", b"still there")
    assert await heard.get() == b"still there"


async def test_a_broker_that_hangs_is_told_and_the_late_answer_does_no_harm(transport, broker, monkeypatch):
    heard = await echoing(transport)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)
    broker.pause()
    with pytest.raises(Unavailable, match="does not answer"):
        await transport.flush()
    broker.resume()
    monkeypatch.undo()
    await transport.publish("loop", b"late")
    assert await heard.get() == b"late"
    await transport.flush()


async def test_after_a_killed_broker_it_is_subscribed_again(transport, broker):
    heard = await echoing(transport)
    again = asyncio.Event()
    forget = transport.on_reconnect(again.set)
    broker.kill()
    broker.start()
    await again.wait()
    await transport.publish("loop", b"back")
    assert await heard.get() == b"back"
    forget()
    forget()


async def test_a_flush_waits_for_a_broker_that_is_away(transport, broker):
    broker.kill()
    flushing = asyncio.ensure_future(transport.flush())
    await until(lambda: not transport.connected)
    assert not flushing.done()
    broker.start()
    await flushing


async def test_what_is_published_while_the_broker_is_away_comes_later_and_has_a_limit(transport, broker, monkeypatch):
    heard = await echoing(transport)
    broker.kill()
    await until(lambda: not transport.connected)
    await transport.publish("loop", b"kept")
    megabyte = b"x" * (1 << 20)
    for _ in range((module.PENDING_BYTES >> 20) - 1):
        await transport.publish("nobody.hears", megabyte)
    with pytest.raises(Unavailable, match="not sent"):
        await transport.publish("nobody.hears", megabyte)
    broker.start()
    assert await heard.get() == b"kept"


async def test_a_refused_subscription_is_told_by_the_next_flush(volume):
    await volume.subscribe("shoal.v1.executor.*.start", lambda delivery: None)
    with pytest.raises(PermissionDenied, match="volume"):
        await volume.flush()
    await volume.flush()


async def test_what_is_too_large_is_refused_before_the_broker_cuts_the_connection(transport):
    heard = await echoing(transport)
    largest = transport._client.max_payload
    for payload, headers in ((b"x" * (largest + 1), None), (b"x" * largest, {"A": "b"}), (b"", {"A": "ü" * largest})):
        with pytest.raises(ResourceExhausted):
            await transport.publish("loop", payload, headers)
    with pytest.raises(InvalidArgument):
        await transport.publish("x" * 100_000, b"")
    await transport.publish("loop", b"x" * (largest - 100), {"A": "b"})
    assert len(await heard.get()) == largest - 100


async def test_draining_delivers_what_has_come_and_no_more(transport):
    heard: list[bytes] = []
    subscription = await transport.subscribe("some", lambda delivery: heard.append(delivery.payload))
    for number in range(100):
        await transport.publish("some", b"%d" % number)
    await subscription.drain()
    assert len(heard) == 100
    await transport.publish("some", b"late")
    await transport.flush()
    assert len(heard) == 100
    await subscription.drain()


async def test_draining_does_not_wait_for_a_broker_that_is_away(transport, broker):
    heard: list[bytes] = []
    subscription = await transport.subscribe("some", lambda delivery: heard.append(delivery.payload))
    await transport.flush()
    broker.kill()
    async with asyncio.timeout(60):
        await subscription.drain()
    broker.start()
    await transport.publish("some", b"late")
    await transport.flush()
    assert heard == []


async def test_closing_sends_what_was_published(transport, broker):
    heard = await echoing(transport)
    leaving = await NatsTransport.connect(broker.url, "tester", broker.seed())
    await leaving.publish("loop", b"last words")
    await leaving.close()
    assert await heard.get() == b"last words"
    with pytest.raises(Unavailable):
        await leaving.publish("loop", b"too late")
    with pytest.raises(Unavailable):
        await leaving.subscribe("loop", lambda delivery: None)


async def test_closing_does_not_wait_for_a_broker_that_is_away_or_hangs(broker, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.1)
    for stop, go_on in ((broker.pause, broker.resume), (broker.kill, broker.start)):
        leaving = await NatsTransport.connect(broker.url, "tester", broker.seed())
        stop()
        async with asyncio.timeout(60):
            await leaving.close()
        assert not leaving.connected
        go_on()


async def test_a_connection_that_the_broker_ends_for_good_is_told(transport, broker):
    lost = asyncio.Event()
    transport.on_lost(lost.set)
    await transport._client._process_err("'Authorization Violation'")
    await lost.wait()
    with pytest.raises(Unavailable):
        await transport.publish("loop", b"")


async def test_a_receiver_that_fails_gets_the_next_message(transport, caplog):
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def receive(delivery):
        if delivery.payload == b"bad":
            raise RuntimeError("receiver broke")
        heard.put_nowait(delivery.payload)

    await transport.subscribe("some", receive)
    await transport.publish("some", b"bad")
    await transport.publish("some", b"good")
    assert await heard.get() == b"good"
    assert "receiver broke" in caplog.text
    assert "Traceback" in caplog.text


async def test_attempts_to_connect_do_not_fill_the_log(transport, broker, caplog):
    broker.kill()
    await until(lambda: not transport.connected)
    await asyncio.sleep(0.5)
    assert len(caplog.records) < 5
    broker.start()
    await transport.flush()


async def test_headers_and_replies_come_as_they_were_sent(transport):
    got: asyncio.Queue[object] = asyncio.Queue()
    await transport.subscribe("with.>", got.put_nowait)
    await transport.publish("with.headers", b"x", {"Key": "value ü", "Other": "1"}, reply="answer.here")
    await transport.publish("with.nothing", b"")
    first, second = await got.get(), await got.get()
    assert first == ("with.headers", b"x", {"Key": "value ü", "Other": "1"}, "answer.here")
    assert second == ("with.nothing", b"", {}, "")


async def test_a_request_that_is_sent_again_before_it_is_answered_is_answered(transport, volume, monkeypatch):
    """The broker lets a service answer each message once."""
    monkeypatch.setattr(pending, "FIRST_AGAIN", 0.01)
    asked: asyncio.Queue[Delivery] = asyncio.Queue()
    await volume.subscribe("shoal.v1.volume.node1.inspect", asked.put_nowait)
    await volume.flush()
    asking = Pending(transport, "tester")
    await asking.open()
    waits = asyncio.ensure_future(asking.request(Request("shoal.v1.volume.node1.inspect", b"?", {}, far=True), 30))
    first, second = await asked.get(), await asked.get()
    assert first.reply != second.reply
    await volume.publish(first.reply, b"answer")
    assert (await waits).payload == b"answer"
    refused: list[str] = []
    volume.on_refused(refused.append)
    await volume.publish(second.reply, b"answer")
    await volume.flush()
    assert refused == []
    await asking.close()
