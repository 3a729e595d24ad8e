from __future__ import annotations

import pytest

from shared import ids
from shared.clock import now_ns
from shared.errors import Unavailable
from shared.state import replay as module
from shared.state.replay import replay
from shared.state.streams import EVENTS, SPANS


async def tell(bus, *texts: str) -> None:
    """Returns when the stream has them: a broker that has got a message may store it later."""
    for text in texts:
        await bus.request_raw(f"shoal.v1.events.{text}.happened", text.encode())


async def read(bus, subject="shoal.v1.events.>", since=0) -> list[str]:
    return [delivery.payload.decode() async for delivery in replay(bus, EVENTS, subject, since)]


async def test_all_that_was_stored_comes_in_order(nats, monkeypatch):
    bus = await nats.bus()
    assert await read(bus) == []
    texts = [f"e{number}" for number in range(7)]
    await tell(bus, *texts)
    assert await read(bus) == texts
    for size in (1, 2, 7, 8):
        monkeypatch.setattr(module, "BATCH", size)
        assert await read(bus) == texts


async def test_only_the_subject_asked_for_comes(nats, monkeypatch):
    bus = await nats.bus()
    await tell(bus, "a", "b", "a", "b", "a")
    monkeypatch.setattr(module, "BATCH", 2)
    assert await read(bus, "shoal.v1.events.a.>") == ["a", "a", "a"]
    assert await read(bus, "shoal.v1.events.c.>") == []


async def test_it_begins_at_the_time_asked_for(nats):
    bus = await nats.bus()
    await tell(bus, "before")
    between = now_ns()
    await tell(bus, "after")
    assert await read(bus, since=between) == ["after"]
    assert await read(bus, since=now_ns() + 10**12) == []


async def test_a_stream_that_is_not_there_is_told(nats, monkeypatch):
    bus = await nats.bus()
    with pytest.raises(Unavailable, match="NONE"):
        [delivery async for delivery in replay(bus, "NONE", ">")]


async def test_spans_are_read_the_same_way(nats):
    bus = await nats.bus()
    await bus.request_raw("shoal.v1.spans", b"[]")
    assert [delivery.payload async for delivery in replay(bus, SPANS, "shoal.v1.spans")] == [b"[]"]


async def test_another_hosts_stream_is_read_in_its_domain(nats, broker, monkeypatch):
    """Here: of the only broker that there is."""
    bus = await nats.bus()
    await bus.request_raw("shoal.v1.spans", b"[]")
    host = ids.node_id(broker.settings.state_path)
    assert [delivery.payload async for delivery in replay(bus, SPANS, "shoal.v1.spans", host=host)] == [b"[]"]
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with pytest.raises(Unavailable):
        [delivery async for delivery in replay(bus, SPANS, "shoal.v1.spans", host="elsewhere")]
