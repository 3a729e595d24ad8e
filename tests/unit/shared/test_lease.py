"""Leases in both worlds; their life is a second here."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared import lease as module
from shared.bus import NatsTransport
from shared.bus.bus import Bus
from shared.errors import Unavailable
from shared.lease import LEASE, PRESENCE, Holder, Lease, Presence
from shared.state import memory
from shared.state.streams import STREAMS
from tests.support.broker import TESTER
from tests.support.worlds import MemoryWorld, memory_world, nats_world

LIFE = 1.0


@pytest.fixture(params=["memory", "nats"])
async def short(request, directory, monkeypatch):
    """A world whose leases live for a second."""
    monkeypatch.setattr(memory, "LEASE_SECONDS", LIFE)
    monkeypatch.setattr(module, "RENEW_SECONDS", LIFE / 5)
    monkeypatch.setattr(module, "SAFE_SECONDS", LIFE * 0.8)
    if request.param == "memory":
        async with memory_world(directory) as world:
            yield world
        return
    broker = request.getfixturevalue("broker")
    bus = Bus(await NatsTransport.connect(broker.url, TESTER, broker.seed()), "node1", TESTER)
    await bus.open()
    config = next(one for one in STREAMS if one["name"] == "KV_shoal_leases")
    shorter = {**config, "max_age": int(LIFE * 1e9), "duplicate_window": int(LIFE * 1e9)}
    await bus.request_raw(f"$JS.API.STREAM.CREATE.{config['name']}", msgspec.json.encode(shorter))
    await bus.close()
    async with nats_world(directory, broker) as world:
        yield world


class Wish:
    """A lease that somebody wants, and whether it was lost."""

    def __init__(self, state, name: str) -> None:
        self.lost = asyncio.Event()
        self.lease = Lease(state, LEASE, "leader", Holder(name=name), self.lost.set)


@pytest.fixture
async def wish(short):
    made: list[Wish] = []

    async def make(name: str) -> Wish:
        made.append(Wish(await short.state(await short.bus()), name))
        return made[-1]

    yield make
    for one in made:
        await one.lease.release()


async def test_one_holds_it_and_gives_it_back(wish):
    one, other = await wish("one"), await wish("other")
    assert await one.lease.acquire()
    assert not await other.lease.acquire()
    assert (one.lease.is_held, other.lease.is_held) == (True, False)
    first = one.lease.revision
    await one.lease.release()
    assert not one.lease.is_held
    assert await other.lease.acquire()
    assert other.lease.revision > first
    assert not one.lost.is_set()


async def test_of_many_who_want_it_at_once_one_gets_it(wish):
    wishes = [await wish(str(number)) for number in range(6)]
    assert sorted(await asyncio.gather(*(one.lease.acquire() for one in wishes))) == [False] * 5 + [True]


async def test_it_is_renewed_for_longer_than_its_life(wish):
    one, other = await wish("one"), await wish("other")
    await one.lease.acquire()
    first = one.lease.revision
    await asyncio.sleep(LIFE * 1.5)
    assert one.lease.revision > first
    assert not await other.lease.acquire()
    assert not one.lost.is_set()


async def test_who_waits_has_it_as_soon_as_it_is_given_back(wish):
    one, other = await wish("one"), await wish("other")
    await one.lease.acquire()
    waiting = asyncio.ensure_future(other.lease.wait())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await one.lease.release()
    async with asyncio.timeout(LIFE / 2):
        await waiting
    assert other.lease.is_held


async def test_who_waits_has_it_when_its_holder_died(wish):
    one, other = await wish("one"), await wish("other")
    await one.lease.acquire()
    one.lease._tasks.cancel()
    async with asyncio.timeout(LIFE * 4):
        await other.lease.wait()
    assert other.lease.is_held


async def test_the_same_holder_takes_it_over_from_itself_and_the_old_one_loses_it(wish):
    before, after = await wish("one"), await wish("one")
    await before.lease.acquire()
    assert await after.lease.acquire()
    async with asyncio.timeout(LIFE * 2):
        await before.lost.wait()
    assert not before.lease.is_held
    await before.lease.release()
    assert after.lease.is_held
    assert not await (await wish("other")).lease.acquire()


async def test_who_cannot_renew_it_loses_it_before_another_can_have_it(wish, short, monkeypatch):
    one = await wish("one")
    await one.lease.acquire()
    begun = asyncio.get_running_loop().time()

    async def fail(revision: int) -> int:
        raise Unavailable("the broker is away")

    monkeypatch.setattr(one.lease, "_update", fail)
    async with asyncio.timeout(LIFE * 2):
        await one.lost.wait()
    assert asyncio.get_running_loop().time() - begun < LIFE
    assert not one.lease.is_held


async def test_a_broker_that_hangs_makes_it_lost_in_time(wish, short):
    if isinstance(short, MemoryWorld):
        return
    one = await wish("one")
    await one.lease.acquire()
    short.broker.pause()
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(LIFE * 2):
        await one.lost.wait()
    assert asyncio.get_running_loop().time() - begun < LIFE
    short.broker.resume()


async def test_a_restarted_broker_does_not_take_it_away(wish, short):
    if isinstance(short, MemoryWorld):
        return
    one, other = await wish("one"), await wish("other")
    await one.lease.acquire()
    short.broker.kill()
    short.broker.start()
    await asyncio.sleep(LIFE * 1.2)
    assert one.lease.is_held
    assert not await other.lease.acquire()


async def test_hosts_that_are_there_are_seen_and_those_that_left_are_not(short):
    states = {node: await short.state(await short.bus(node=node)) for node in ("node1", "node2")}
    view = await states["node1"].view(PRESENCE)
    changes: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    view.on_change(lambda keys, parts, entry: changes.put_nowait((parts[0], entry is not None)))
    one, other = (Presence(state, node) for node, state in states.items())
    await one.open()
    assert await changes.get() == ("node1", True)
    await other.open()
    while await changes.get() != ("node2", True):
        pass
    await other.close()
    async with asyncio.timeout(LIFE / 2):
        while await changes.get() != ("node2", False):
            pass
    assert [parts for parts, _ in view.items(PRESENCE)] == [("node1",)]
    await one.close()


async def test_presence_that_was_lost_comes_back(short):
    state = await short.state(await short.bus())
    presence = Presence(state, "node1")
    await presence.open()
    entry = await state.get(PRESENCE, "node1")
    await state.update(PRESENCE, "node1", value=Holder(name="intruder"), revision=entry.revision)
    view = await state.view(PRESENCE)
    back = asyncio.Event()

    def look(keys, parts, entry) -> None:
        if entry is not None and entry.value.name == "node1":
            back.set()

    view.on_change(look)
    async with asyncio.timeout(LIFE * 5):
        await back.wait()
    await presence.close()
    assert await state.get(PRESENCE, "node1") is None
