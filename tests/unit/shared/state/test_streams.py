"""The broker's streams as they are made."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared.errors import Unavailable
from shared.state import streams
from shared.state.streams import STREAMS, ensure


async def described(bus, name: str) -> dict:
    reply = await bus.request_raw(f"$JS.API.STREAM.INFO.{name}", b"")
    config: dict = msgspec.json.decode(reply.payload)["config"]
    return config


async def test_they_are_what_was_asked_for(nats):
    bus = await nats.bus()
    for wanted in STREAMS:
        made = await described(bus, wanted["name"])
        assert {key: made.get(key, value) for key, value in wanted.items()} == wanted


async def test_several_may_be_the_first_at_once(broker, nats):
    buses = [await nats.bus(name) for name in ("volume", "network", "gateway")]
    assert await asyncio.gather(*(ensure(bus) for bus in buses)) == [True] * 3


async def test_a_stream_of_another_configuration_is_left_as_it_is(nats, monkeypatch):
    bus = await nats.bus()
    name = STREAMS[-1]["name"]
    monkeypatch.setattr(streams, "STREAMS", ({**STREAMS[-1], "max_bytes": 1 << 20},))
    assert not await ensure(bus)
    assert (await described(bus, name))["max_bytes"] == STREAMS[-1]["max_bytes"]


async def test_what_the_broker_refuses_is_told(nats, monkeypatch):
    monkeypatch.setattr(streams, "STREAMS", ({**STREAMS[-1], "name": "OTHER", "retention": "sometimes"},))
    with pytest.raises(Unavailable, match="OTHER"):
        await ensure(await nats.bus())


async def test_events_and_spans_are_kept_over_a_restart_of_the_broker(nats, broker):
    bus = await nats.bus()
    before = {config["name"] for config in STREAMS}
    broker.kill()
    broker.start()
    reply = await bus.request_raw("$JS.API.STREAM.NAMES", b"")
    assert set(msgspec.json.decode(reply.payload)["streams"]) == before
