"""Watches of a real broker: nothing is missed, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus import Bus
from shared.errors import PermissionDenied, Unavailable
from shared.state import NatsState, watch
from shared.state.watch import position
from tests.support.echo import PARTS, RECORDS, Text
from tests.support.waiting import until
from tests.support.worlds import NatsWorld

numbers = st.integers(min_value=0, max_value=2**63)


@given(numbers, numbers, numbers)
def test_the_position_is_read_from_both_forms(revision, sequence, pending):
    short = f"$JS.ACK.KV_shoal.c1.1.{revision}.{sequence}.1700000000.{pending}"
    long = f"$JS.ACK._.ACCOUNT.KV_shoal.c1.1.{revision}.{sequence}.1700000000.{pending}.token"
    assert position(short) == position(long) == ("c1", revision, sequence, pending)


async def store(nats: NatsWorld) -> AsyncIterator[NatsState]:
    state = NatsState(await nats.bus())
    yield state
    await state.close()


writer, reader = pytest.fixture(store, name="writer"), pytest.fixture(store, name="reader")


async def test_large_and_many_records_all_come(writer, reader):
    """More than the broker sends without an answer to its flow control."""
    text = "x" * 20_000
    await asyncio.gather(*(writer.create(RECORDS, str(n), value=Text(text=text)) for n in range(500)))
    view = await reader.view(RECORDS)
    assert view.count(RECORDS) == 500
    revisions = await asyncio.gather(*(writer.create(PARTS, str(n), value=Text(text=text)) for n in range(500)))
    both = await reader.view(RECORDS, PARTS)
    await both.reached(max(revisions))
    assert (both.count(RECORDS), both.count(PARTS)) == (500, 500)


async def test_a_killed_broker_costs_no_change(writer, reader, broker):
    view = await reader.view(RECORDS)
    revision = await writer.create(RECORDS, "before", value=Text())
    broker.kill()
    waiting = asyncio.ensure_future(writer.create(RECORDS, "while", value=Text()))
    await asyncio.sleep(0)
    broker.start()
    await view.reached(await waiting)
    await view.reached(await writer.update(RECORDS, "before", value=Text(count=1), revision=revision))
    assert {parts[0]: entry.value.count for parts, entry in view.items(RECORDS)} == {"before": 1, "while": 0}


async def test_what_was_removed_while_it_was_cut_off_is_gone(nats, broker, writer):
    await writer.create(RECORDS, "stays", value=Text())
    await writer.create(RECORDS, "goes", value=Text())
    bus = await nats.bus()
    view = await (await nats.state(bus)).view(RECORDS)
    broker.kill()
    broker.start()
    await view.reached(await writer.delete(RECORDS, "goes"))
    assert [parts for parts, _ in view.items(RECORDS)] == [("stays",)]


async def test_after_a_long_time_it_starts_anew_and_drops_what_is_no_more(writer, reader, broker, monkeypatch):
    await writer.create(RECORDS, "stays", value=Text())
    await writer.create(RECORDS, "goes", value=Text())
    view = await reader.view(RECORDS)
    told: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    view.on_change(lambda keys, parts, entry: told.put_nowait((parts[0], entry is None)))
    monkeypatch.setattr(watch, "RESUME_SECONDS", -1.0)
    broker.kill()
    broker.start()
    await writer.delete(RECORDS, "goes")
    assert await told.get() == ("goes", True)
    assert [parts for parts, _ in view.items(RECORDS)] == [("stays",)]


async def test_a_watch_that_is_made_while_the_broker_restarts_is_complete(writer, reader, broker):
    await writer.create(RECORDS, "one", value=Text())
    broker.kill()
    making = asyncio.ensure_future(reader.view(RECORDS))
    await asyncio.sleep(0)
    broker.start()
    view = await making
    assert view.count(RECORDS) == 1
    await view.reached(await writer.create(RECORDS, "two", value=Text()))


async def test_the_silence_of_a_consumer_that_the_broker_dropped_is_noticed(nats, writer, reader, monkeypatch):
    monkeypatch.setattr(watch, "HEARTBEAT", 0.1)
    view = await reader.view(RECORDS)
    bus = await nats.bus()
    names = await bus.request_raw("$JS.API.CONSUMER.NAMES.KV_shoal", b"")
    [consumer] = msgspec.json.decode(names.payload)["consumers"]
    await bus.request_raw(f"$JS.API.CONSUMER.DELETE.KV_shoal.{consumer}", b"")
    await view.reached(await writer.create(RECORDS, "one", value=Text()))
    assert view.count(RECORDS) == 1


async def test_a_change_that_is_known_of_is_not_waited_for_until_the_silence_is_noticed(nats, writer, reader):
    """A watch of another host's broker is told of no reconnection when that was restarted."""
    view = await reader.view(RECORDS)
    bus = await nats.bus()
    names = await bus.request_raw("$JS.API.CONSUMER.NAMES.KV_shoal", b"")
    [consumer] = msgspec.json.decode(names.payload)["consumers"]
    await bus.request_raw(f"$JS.API.CONSUMER.DELETE.KV_shoal.{consumer}", b"")
    await view.reached(await writer.create(RECORDS, "one", value=Text()), timeout=2 * watch.HEARTBEAT)
    assert view.count(RECORDS) == 1


async def test_a_message_that_was_lost_is_noticed(writer, reader):
    view = await reader.view(RECORDS)
    [inner] = reader._watches
    inner._expected += 1  # as if one had come that the broker did not send
    await view.reached(await writer.create(RECORDS, "one", value=Text()))
    assert view.count(RECORDS) == 1


async def test_what_was_pending_and_is_no_more_is_not_waited_for(writer, reader, monkeypatch):
    """Of two that the broker counted one has expired before it was sent."""
    monkeypatch.setattr(watch, "HEARTBEAT", 0.2)
    monkeypatch.setattr(watch, "position", lambda reply: position(reply)._replace(pending=1))
    await writer.create(RECORDS, "one", value=Text())
    view = await asyncio.wait_for(reader.view(RECORDS), 10)
    assert view.count(RECORDS) == 1
    await view.reached(await writer.create(RECORDS, "two", value=Text()))
    assert view.count(RECORDS) == 2


async def test_an_unreadable_record_hides_no_other(nats, writer, reader):
    view = await reader.view(RECORDS)
    bus = await nats.bus()
    await bus.request_raw("$KV.shoal.echoes.bad", b"{")
    await view.reached(await writer.create(RECORDS, "good", value=Text()))
    assert [parts for parts, _ in view.items(RECORDS)] == [("good",)]
    assert [parts for parts, _ in (await reader.view(RECORDS)).items(RECORDS)] == [("good",)]


async def test_a_service_cannot_watch_without_permission(broker, nats):
    platform = await nats.bus("platform")
    with pytest.raises(PermissionDenied):
        await (await nats.state(platform)).view(RECORDS)


async def test_a_view_of_who_is_away_is_completed_when_they_are_back(writer, reader, broker):
    await writer.create(RECORDS, "one", value=Text())
    broker.kill()
    view = await reader.view(RECORDS, wait=0.01)
    changes = []
    view.on_live(lambda: changes.append(view.live))
    assert (view.live, view.count(RECORDS)) == (False, 0)
    broker.start()
    await until(lambda: view.live, 60)
    await until(lambda: view.count(RECORDS) == 1, 60)
    assert changes == [True]


async def test_a_view_that_shows_a_part_only_is_not_live(writer, reader, monkeypatch):
    """Who asks whether a host is known must not take its first record for all of them."""
    await writer.create(RECORDS, "one", value=Text())
    ended: list[watch.Watch] = []
    finish = watch.Watch._finished
    monkeypatch.setattr(watch.Watch, "_finished", lambda self: ended.append(self))
    view = await reader.view(RECORDS, wait=0.01)
    await until(lambda: view.count(RECORDS) == 1 and bool(ended), 60)
    assert not view.live
    finish(ended[0])
    assert view.live


async def test_a_view_of_another_host_shows_its_records_when_it_is_there(writer, reader):
    """Here: never, for there is no such host; its view is empty, and not alive."""
    await writer.create(RECORDS, "one", value=Text())
    view = await reader.view(RECORDS, host="elsewhere", wait=0.01)
    assert (view.live, view.count(RECORDS)) == (False, 0)
    view.stop()


async def test_what_a_consumer_sent_before_its_maker_heard_of_it_comes_again(writer, reader, monkeypatch):
    """The first answer is lost with all that the consumer sent; the request that is sent again finds it at its end."""
    monkeypatch.setattr(watch, "HEARTBEAT", 0.2)
    await writer.create(RECORDS, "one", value=Text(text="1"))
    ask, hear, lost = Bus.request_raw, watch.Watch._received, asyncio.Event()

    def lose(self, delivery):
        if lost.is_set():
            hear(self, delivery)
        elif "Status" not in delivery.headers:
            lost.set()

    async def ask_twice(self, subject, *more, **options):
        answer = await ask(self, subject, *more, **options)
        if ".CONSUMER.CREATE." in subject and not lost.is_set():
            await lost.wait()
            answer = await ask(self, subject, *more, **options)
        return answer

    monkeypatch.setattr(watch.Watch, "_received", lose)
    monkeypatch.setattr(Bus, "request_raw", ask_twice)
    view = await reader.view(RECORDS)
    assert [entry.value.text for _, entry in view.items(RECORDS)] == ["1"]


async def test_a_hub_that_swallows_what_it_is_asked_is_asked_again_soon(reader, monkeypatch):
    waited: list[float] = []

    async def swallow(self, subject, *more, **options):
        waited.append(options["timeout"])
        raise Unavailable("silence")

    monkeypatch.setattr(Bus, "request_raw", swallow)
    view = await reader.view(RECORDS, host="elsewhere", wait=0.01)
    await until(lambda: len(waited) > 5, 60)
    assert waited[:6] == [1, 2, 4, 8, 10, 10]
    view.stop()
    waited.clear()
    with pytest.raises(Unavailable, match="silence"):
        await reader.view(RECORDS, host="elsewhere")
    assert waited == [1, 2, 4, 8]
