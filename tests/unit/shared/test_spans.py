"""Sending spans: in batches, from any thread, the newest when there are too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from shared import spans
from shared.bus import Bus, MemoryBroker
from shared.errors import ResourceExhausted
from shared.spans import SpanSender
from shared.telemetry import SPANS_SUBJECT, SpanRecord


class Collector:
    """Hears the batches."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.transport = broker.connect()
        self.bus = Bus(self.transport, "node1", "volume")
        self.batches: asyncio.Queue[list[str]] = asyncio.Queue()

    async def open(self) -> None:
        def receive(delivery) -> None:
            records = msgspec.json.decode(delivery.payload, type=list[SpanRecord])
            self.batches.put_nowait([record.name for record in records])

        await self.bus.transport.subscribe(SPANS_SUBJECT, receive)


def record(name: str) -> SpanRecord:
    return SpanRecord(trace_id="1" * 32, span_id="2" * 16, name=name, service="volume", node="node1", start=1, end=2)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    monkeypatch.setattr(spans, "DELAY", 0.01)
    made = Collector(MemoryBroker())
    await made.open()
    yield made
    await made.bus.close()


async def next_batch(collector: Collector) -> list[str]:
    async with asyncio.timeout(60):
        return await collector.batches.get()


async def test_what_ends_together_is_sent_together(collector: Collector) -> None:
    sender = SpanSender(collector.bus)
    for name in ("a", "b", "c"):
        sender.add(record(name))
    assert await next_batch(collector) == ["a", "b", "c"]
    sender.add(record("d"))
    assert await next_batch(collector) == ["d"]


async def test_a_span_is_stored_whole(collector: Collector) -> None:
    heard = asyncio.get_running_loop().create_future()
    await collector.bus.transport.subscribe(SPANS_SUBJECT, lambda delivery: heard.set_result(delivery.payload))
    sender, full = SpanSender(collector.bus), msgspec.structs.replace(record("a"), error="why", attributes={"n": 1})
    sender.add(full)
    assert msgspec.json.decode(await heard, type=list[SpanRecord]) == [full]


async def test_spans_come_from_any_thread(collector: Collector) -> None:
    sender = SpanSender(collector.bus)
    await asyncio.gather(*(asyncio.to_thread(sender.add, record(str(number))) for number in range(20)))
    names: list[str] = []
    while len(names) < 20:
        names += await next_batch(collector)
    assert sorted(names, key=int) == [str(number) for number in range(20)]


async def test_a_large_number_is_sent_in_several_messages(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "BATCH", 2)
    sender = SpanSender(collector.bus)
    for name in ("a", "b", "c", "d", "e"):
        sender.add(record(name))
    assert [await next_batch(collector) for _ in range(3)] == [["a", "b"], ["c", "d"], ["e"]]


async def test_the_newest_are_kept_while_the_broker_is_away(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "MOST", 3)
    sender = SpanSender(collector.bus)
    collector.transport.connected = False
    for number in range(10):
        sender.add(record(str(number)))
    await sender.close()  # must not wait for the broker
    assert collector.batches.empty()
    collector.transport.connected = True
    await sender.close()
    assert await next_batch(collector) == ["7", "8", "9"]


async def test_spans_go_out_when_the_broker_is_back(collector: Collector) -> None:
    sender = SpanSender(collector.bus)
    collector.transport.connected = False
    sender.add(record("a"))
    await asyncio.sleep(0)
    collector.transport.connected = True
    collector.transport.reconnect()
    assert await next_batch(collector) == ["a"]


async def test_spans_that_the_broker_refuses_are_reported(
    collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*arguments: object) -> None:
        raise ResourceExhausted("too large")

    monkeypatch.setattr(collector.transport, "publish", refuse)
    sender = SpanSender(collector.bus)
    sender.add(record("a"))
    await sender.close()
    assert [entry.getMessage() for entry in caplog.records] == ["1 spans lost: too large"]


async def test_closing_sends_what_waits(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "DELAY", 3600)
    sender = SpanSender(collector.bus)
    sender.add(record("a"))
    await sender.close()
    assert await next_batch(collector) == ["a"]


async def test_nothing_is_sent_when_there_is_nothing(collector: Collector) -> None:
    await SpanSender(collector.bus).close()
    await asyncio.sleep(0)
    assert collector.batches.empty()
