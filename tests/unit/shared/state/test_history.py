from __future__ import annotations

from shared import ids
from shared.bus import wire
from shared.bus.memory import MemoryTransport
from shared.contracts.base import Event
from shared.contracts.common import DockerEvent
from shared.state import replay
from shared.state.history import MemoryHistory, NatsHistory, merged
from tests.support.echo import HINT, Text

HAPPENED = Event("container", DockerEvent)


def event(number: int) -> DockerEvent:
    return DockerEvent(type="container", action=f"a{number}", actor="c", time_ns=number * 1000)


async def keep(bus, event: bytes) -> None:
    """Returns when the stream has it: a broker that has got a message may store it later."""
    subject = "shoal.v1.events.container.x"
    if isinstance(bus.transport, MemoryTransport):
        await bus.transport.publish(subject, event)
        await bus.transport.flush()
    else:
        await bus.request_raw(subject, event)


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
    await keep(bus, b"no event")
    await keep(bus, b'{"type":"comet","action":"a","actor":"b"}')
    assert [one async for one in history.read(0, 0)] == []


async def test_the_time_of_an_event_counts_not_that_of_its_storing(world):
    bus, history = await past(world)
    for number in range(1, 6):
        await keep(bus, wire.encode(event(number)))
    assert [one.action async for one in history.read(2000, 4000)] == ["a2", "a3", "a4"]
    assert [one.action async for one in history.read(4000, 0)] == ["a4", "a5"]


async def test_what_several_hosts_have_kept_comes_from_each(nats, broker, monkeypatch):
    """Here the other one is this one again, by its name, and a third is away."""
    monkeypatch.setattr(replay, "PATIENCE", 0.05)
    bus = await nats.bus()
    for number in (2, 1, 3):
        await keep(bus, wire.encode(event(number)))
    hosts = (ids.node_id(broker.settings.state_path), "elsewhere")
    actions = [one.action async for one in NatsHistory(bus).read(1500, 0, hosts)]
    assert actions == ["a2", "a2", "a3", "a3"]


async def test_events_of_several_sources_are_told_by_time():
    async def source(*numbers):
        for number in numbers:
            yield event(number)

    found = merged([source(1, 4, 3), source(), source(2, 5)])
    assert [one.action async for one in found] == ["a1", "a2", "a4", "a3", "a5"]
    assert [one async for one in merged([])] == []
