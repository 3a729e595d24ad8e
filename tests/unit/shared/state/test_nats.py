"""What the store does on a real broker: writes that meet themselves again, refusals, brokers that die."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared import ids
from shared.contracts.base import AGREED, Keys
from shared.errors import AlreadyExists, ResourceExhausted, Unavailable
from shared.state import NatsState
from shared.state.nats import EXPECTED, MESSAGE_ID
from shared.state.watch import Watch
from tests.support.echo import RECORDS, Text


@pytest.fixture
async def state(nats):
    made = NatsState(await nats.bus())
    yield made
    await made.close()


async def test_a_write_that_is_sent_again_after_it_was_done_is_no_lost_race(nats, state, monkeypatch):
    """As after a connection that broke between the write and its answer."""
    revision = await state.create(RECORDS, "one", value=Text(text="1"))
    bus = await nats.bus()
    stored = await bus.request_raw("$JS.API.DIRECT.GET.KV_shoal.$KV.shoal.echoes.one", b"")
    headers = {MESSAGE_ID: stored.headers[MESSAGE_ID], EXPECTED: "0"}
    again = await bus.request_raw("$KV.shoal.echoes.one", stored.payload, headers)
    assert msgspec.json.decode(again.payload)["error"]["err_code"] == 10071  # the broker itself takes it for a race
    monkeypatch.setattr("shared.state.nats.new_token", lambda: stored.headers[MESSAGE_ID])
    assert await state.create(RECORDS, "one", value=Text(text="1")) == revision


async def test_the_last_change_of_a_family_is_known(nats, state):
    assert await state.latest(RECORDS) == 0
    await state.create(RECORDS, "one", value=Text(text="1"))
    last = await state.create(RECORDS, "two", value=Text(text="2"))
    assert await state.latest(RECORDS) == last
    gone = await state.delete(RECORDS, "one")
    assert await state.latest(RECORDS) == gone


async def test_writes_under_way_when_the_broker_is_killed_are_done_once(nats, state, broker):
    for round_ in range(3):
        names = [f"{round_}-{number}" for number in range(20)]
        writing = [asyncio.ensure_future(state.create(RECORDS, name, value=Text(text=name))) for name in names]
        await asyncio.sleep(0)
        broker.kill()
        broker.start()
        revisions = await asyncio.gather(*writing)
        assert len(set(revisions)) == len(names)
        for name, revision in zip(names, revisions, strict=True):
            entry = await state.get(RECORDS, name)
            assert (entry.value.text, entry.revision) == (name, revision)


async def test_an_acknowledged_write_is_there_after_a_kill(nats, state, broker):
    revision = await state.create(RECORDS, "kept", value=Text(text="kept"))
    broker.kill()
    broker.start()
    entry = await state.get(RECORDS, "kept")
    assert (entry.value.text, entry.revision) == ("kept", revision)
    with pytest.raises(AlreadyExists):
        await state.create(RECORDS, "kept", value=Text())


async def test_a_record_that_is_too_large_is_refused(state):
    with pytest.raises(ResourceExhausted):
        await state.create(RECORDS, "large", value=Text(text="x" * (9 << 20)))
    assert await state.get(RECORDS, "large") is None


async def test_a_bucket_that_is_not_there_is_unavailable_not_an_empty_one(state, monkeypatch):
    monkeypatch.setattr("shared.bus.bus.RESPONDER_WAIT", 0.05)
    other = Keys("echoes.*", Text, bucket="nowhere")
    for asking in (state.get(other, "a"), state.create(other, "a", value=Text()), state.view(other)):
        with pytest.raises(Unavailable):
            await asking


async def test_views_end_with_the_store(nats):
    bus = await nats.bus()
    state = NatsState(bus)
    view = await state.view(RECORDS)
    await state.close()
    view.stop()
    await NatsState(await nats.bus()).create(RECORDS, "one", value=Text())
    await bus.transport.flush()
    assert view.count(RECORDS) == 0


async def test_what_is_agreed_on_is_asked_of_who_leads(broker, nats):
    """The domain of the broker stands for that of the hubs."""
    agreed = Keys(RECORDS.pattern, Text, bucket=AGREED)
    domain = ids.node_id(broker.settings.state_path)
    state = NatsState(await nats.bus(), domain)
    assert await state.get(agreed, "one") is None
    first = await state.create(agreed, "one", value=Text(text="1"))
    with pytest.raises(AlreadyExists):
        await state.create(agreed, "one", value=Text(text="2"))
    entry = await state.get(agreed, "one")
    assert entry is not None
    assert (entry.value.text, entry.revision) == ("1", first)
    await state.delete(agreed, "one", revision=first)
    assert await state.get(agreed, "one") is None
    assert await state.create(agreed, "one", value=Text(text="3")) > first
    await state.close()


async def test_a_view_of_what_is_agreed_on_has_all_of_it_also_from_a_hub_that_is_behind(broker, nats, monkeypatch):
    agreed = Keys(RECORDS.pattern, Text, bucket=AGREED)
    state = NatsState(await nats.bus(), ids.node_id(broker.settings.state_path))
    revision = await state.create(agreed, "one", value=Text(text="1"))
    opened = Watch.open

    async def behind(self):
        await opened(self)
        entry, self._view.revision = self._view._entries[agreed.pattern].pop(("one",)), 0
        asyncio.get_running_loop().call_later(0.05, self._view.apply, entry.key, entry, revision)

    monkeypatch.setattr(Watch, "open", behind)
    view = await state.view(agreed)
    assert (view.count(agreed), view.revision) == (1, revision)
    await state.close()


async def test_hubs_that_have_been_silent_are_not_waited_for_long_again(nats, monkeypatch):
    monkeypatch.setattr("shared.state.nats.ELECTION", 0.3)
    monkeypatch.setattr("shared.state.nats.SILENT", 0.02)
    state, loop = NatsState(await nats.bus(), "elsewhere"), asyncio.get_running_loop()
    took = []
    for _ in range(2):
        begun = loop.time()
        with pytest.raises(Unavailable):
            await state.get(Keys(RECORDS.pattern, Text, bucket=AGREED), "one")
        took.append(loop.time() - begun)
    assert took[0] >= 0.3 > took[1]
