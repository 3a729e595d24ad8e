"""What is left of what was replaced or removed, in the files of a real broker."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared.errors import AlreadyExists
from shared.state import NatsState
from shared.state.layers import LAYERS
from tests.support.echo import RECORDS, Text


@pytest.fixture
async def state(nats):
    made = NatsState(await nats.bus())
    made.layers.kept = True
    yield made
    await made.close()


async def messages(nats, bus=None) -> int:
    """How many the stream of records has."""
    told = await (bus or await nats.bus()).request_raw("$JS.API.STREAM.INFO.KV_shoal", b"")
    count: int = msgspec.json.decode(told.payload)["state"]["messages"]
    return count


async def remaining(nats, count: int) -> None:
    """Waits until the stream has no more than so many messages."""
    bus = await nats.bus()
    async with asyncio.timeout(60):
        while await messages(nats, bus) > count:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("layered", [True, False])
async def test_what_was_removed_does_not_come_back_when_its_marker_has_gone(nats, state, broker, monkeypatch, layered):
    """The broker reads its files after a kill: what was replaced or removed must be gone from these, too."""
    monkeypatch.setattr("shared.state.nats.MARKER_SECONDS", 1)
    monkeypatch.setattr("shared.state.layers.QUIET", 0.05)
    state.layers.kept = layered
    revisions = [await state.create(RECORDS, name, value=Text(text=name)) for name in ("one", "two", "kept")]
    for number in range(LAYERS + 3):
        revisions[0] = await state.update(RECORDS, "one", value=Text(text=str(number)), revision=revisions[0])
    await state.delete(RECORDS, "one")
    await state.delete(RECORDS, "two", revision=revisions[1])
    await remaining(nats, 1)
    broker.kill()
    broker.start()
    view = await state.view(RECORDS)
    assert [parts[0] for parts, _ in view.items(RECORDS)] == ["kept"]


async def test_a_write_takes_nothing_away_until_there_is_too_much(nats, state):
    """Taking away is synced as well: it would take twice as long."""
    revision = await state.create(RECORDS, "one", value=Text())
    for number in range(2, LAYERS + 1):
        revision = await state.update(RECORDS, "one", value=Text(), revision=revision)
        assert await messages(nats) == number
    revision = await state.update(RECORDS, "one", value=Text(), revision=revision)
    assert await messages(nats) == 1
    await state.delete(RECORDS, "one", revision=revision)
    assert await messages(nats) == 2


async def test_where_it_is_not_known_what_there_is_all_of_it_is_taken_away(nats, state):
    revision = await state.create(RECORDS, "one", value=Text())
    another = NatsState(await nats.bus())
    another.layers.kept = True
    revision = await another.update(RECORDS, "one", value=Text(), revision=revision)
    assert await messages(nats) == 1
    await state.delete(RECORDS, "one")  # which thinks of an older one
    assert await messages(nats) == 1
    assert await state.get(RECORDS, "one") is None


async def test_a_record_that_is_made_anew_outlives_what_its_removal_has_left(nats, state, monkeypatch):
    monkeypatch.setattr("shared.state.layers.QUIET", 0.05)
    for name in ("one", "two"):
        await state.create(RECORDS, name, value=Text(text="old"))
        await state.delete(RECORDS, name)
    revision = await state.create(RECORDS, "one", value=Text(text="new"))
    with pytest.raises(AlreadyExists):
        await state.create(RECORDS, "one", value=Text(text="newer"))
    await remaining(nats, 4)  # three of one, a marker of two
    entry = await state.get(RECORDS, "one")
    assert (entry.value.text, entry.revision) == ("new", revision)


async def test_what_a_killed_process_left_of_a_removal_is_found_by_the_next(nats, monkeypatch):
    monkeypatch.setattr("shared.state.nats.MARKER_SECONDS", 1)
    killed = NatsState(await nats.bus())
    killed.layers.kept = True
    await killed.create(RECORDS, "one", value=Text())
    await killed.delete(RECORDS, "one")
    await killed.close()
    assert await messages(nats) == 2
    reader = NatsState(await nats.bus())
    await reader.view(RECORDS)
    assert "echoes.one" not in reader._left  # it is not its own
    following = NatsState(await nats.bus(), owned=(RECORDS,))
    monkeypatch.setattr("shared.state.layers.QUIET", 0)
    await following.view(RECORDS)
    await remaining(nats, 0)
    for each in (reader, following):
        await each.close()
