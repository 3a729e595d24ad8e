from __future__ import annotations

from shared.bus import wire
from shared.contracts.base import Event
from shared.contracts.common import DockerEvent
from shared.state.history import MemoryHistory, NatsHistory
from tests.support.echo import HINT, Text

HAPPENED = Event("container", DockerEvent)


def event(number: int) -> DockerEvent:
    return DockerEvent(type="container", action=f"a{number}", actor="c", time_ns=number * 1000)


async def past(world):
    """The history of the world, to read what is emitted from now on."""
    bus = await world.bus()
    return bus, NatsHistory(bus) if world.kind == "nats" else await MemoryHistory.listening(bus.transport)


async def test_past_events_are_read_in_order(world):
    bus, history = await past(world)
    assert [one async for one in history.read(0, 0)] == []
    for number in range(1, 6):
        bus.emit(HAPPENED, event(number), suffix="x")
    bus.emit(HINT, Text())
    await bus.close()
    other = await world.bus()
    history = NatsHistory(other) if world.kind == "nats" else history
    assert [one.action async for one in history.read(0, 0)] == ["a1", "a2", "a3", "a4", "a5"]


async def test_what_is_no_docker_event_is_left_out(world):
    bus, history = await past(world)
    await bus.transport.publish("shoal.v1.events.container.x", b"no event")
    await bus.transport.publish("shoal.v1.events.container.x", b'{"type":"comet","action":"a","actor":"b"}')
    await bus.transport.flush()
    assert [one async for one in history.read(0, 0)] == []


async def test_the_time_of_an_event_counts_not_that_of_its_storing(world):
    bus, history = await past(world)
    for number in range(1, 6):
        await bus.transport.publish("shoal.v1.events.container.x", wire.encode(event(number)))
    await bus.transport.flush()
    assert [one.action async for one in history.read(2000, 4000)] == ["a2", "a3", "a4"]
    assert [one.action async for one in history.read(4000, 0)] == ["a4", "a5"]
