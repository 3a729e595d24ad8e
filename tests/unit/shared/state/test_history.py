from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest

from shared.bus import Bus, Delivery, MemoryBroker
from shared.clock import rfc3339
from shared.contracts.base import ROOT, Event
from shared.contracts.common import DockerEvent
from shared.errors import Unavailable
from shared.state import history
from shared.state.history import MemoryHistory, NatsHistory
from shared.tasks import TaskGroup

HAPPENED = Event("container", DockerEvent)


def event(number: int) -> DockerEvent:
    return DockerEvent(type="container", action=f"a{number}", actor="c", time_ns=number * 1000)


class Stream:
    """The broker's direct get of many messages, as its documentation (ADR-31) has it."""

    def __init__(self, broker: MemoryBroker, events: list[DockerEvent]) -> None:
        self._transport = broker.connect()
        self._payloads = [msgspec.json.encode(one) for one in events]
        self._payloads.insert(1, b"no event")
        self._tasks = TaskGroup("stream")
        self.asked: list[dict[str, object]] = []

    async def open(self) -> None:
        await self._transport.subscribe("$JS.API.DIRECT.GET.SHOAL_EVENTS", self._serve)

    def _serve(self, request: Delivery) -> None:
        asked = msgspec.json.decode(request.payload)
        self.asked.append(asked)
        first = asked.get("seq", 1)
        numbered = list(enumerate(self._payloads, 1))[first - 1 : first - 1 + asked["batch"]]
        for sequence, payload in numbered:
            headers = {"Nats-Sequence": str(sequence)}
            self._tasks.start(self._transport.publish(request.reply, payload, headers))
        end = {"Status": "204", "Description": "EOB"} if numbered else {"Status": "404"}
        self._tasks.start(self._transport.publish(request.reply, b"", end))


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("batch", [2, 500])
async def test_past_events_are_read_in_batches(monkeypatch: pytest.MonkeyPatch, count: int, batch: int) -> None:
    monkeypatch.setattr(history, "_BATCH", batch)
    broker, events = MemoryBroker(), [event(number) for number in range(1, count + 1)]
    stream = Stream(broker, events)
    await stream.open()
    bus = Bus(broker.connect(), "n1", "test")
    assert [one async for one in NatsHistory(bus).read(0, 0)] == events
    assert stream.asked[0] == {"start_time": rfc3339(1), "batch": batch, "next_by_subj": f"{ROOT}.events.>"}


async def test_only_the_time_asked_for_is_read() -> None:
    broker = MemoryBroker()
    stream = Stream(broker, [event(number) for number in range(1, 6)])
    await stream.open()
    bus = Bus(broker.connect(), "n1", "test")
    assert [one async for one in NatsHistory(bus).read(2000, 4000)] == [event(2), event(3), event(4)]


async def test_a_broker_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PATIENCE", 0.01)
    broker = MemoryBroker()
    await broker.connect().subscribe("$JS.API.DIRECT.GET.SHOAL_EVENTS", lambda delivery: None)
    with pytest.raises(Unavailable, match="past events"):
        [one async for one in NatsHistory(Bus(broker.connect(), "n1", "test")).read(0, 0)]


async def test_the_twin_remembers_what_it_hears() -> None:
    broker = MemoryBroker()
    bus = Bus(broker.connect(), "n1", "test")
    past = await MemoryHistory.listening(broker.connect())
    for number in (1, 2, 3):
        bus.emit(HAPPENED, event(number), suffix="x")
    for _ in itertools.repeat(None, 10):
        await asyncio.sleep(0)
    assert [one async for one in past.read(2000, 0)] == [event(2), event(3)]
    assert [one async for one in past.read(0, 1000)] == [event(1)]
