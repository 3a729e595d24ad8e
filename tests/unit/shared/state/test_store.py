"""One suite for the store in both worlds, and its stored form."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import telemetry
from shared.bus import Delivery
from shared.contracts.base import Keys
from shared.errors import AlreadyExists, Conflict, DataLoss
from shared.state.store import Envelope, removed, seal, unseal
from tests.support.echo import PARTS, RECORDS, Text


@pytest.fixture
async def state(world):
    return await world.state(await world.bus())


async def test_a_record_is_read_back_with_its_revision(state):
    revision = await state.create(RECORDS, "one", value=Text(text="1"))
    entry = await state.get(RECORDS, "one")
    assert entry is not None
    assert (entry.key, entry.value, entry.revision) == ("echoes.one", Text(text="1"), revision)
    assert await state.get(RECORDS, "two") is None


async def test_creating_twice_is_refused(state):
    await state.create(RECORDS, "one", value=Text(text="1"))
    with pytest.raises(AlreadyExists, match=r"echoes\.one"):
        await state.create(RECORDS, "one", value=Text(text="2"))


async def test_a_write_over_what_somebody_changed_is_refused(state):
    first = await state.create(RECORDS, "one", value=Text(text="1"))
    second = await state.update(RECORDS, "one", value=Text(text="2"), revision=first)
    assert second > first
    with pytest.raises(Conflict, match=r"echoes\.one"):
        await state.update(RECORDS, "one", value=Text(text="3"), revision=first)
    with pytest.raises(Conflict):
        await state.delete(RECORDS, "one", revision=first)
    assert (await state.get(RECORDS, "one")).value == Text(text="2")


async def test_updating_what_is_not_there_is_a_conflict(state):
    with pytest.raises(Conflict):
        await state.update(RECORDS, "one", value=Text(), revision=7)


async def test_removing_is_idempotent_and_the_name_is_free_again(state):
    first = await state.create(RECORDS, "one", value=Text(text="1"))
    removed_at = await state.delete(RECORDS, "one", revision=first)
    assert removed_at > first
    assert await state.get(RECORDS, "one") is None
    assert await state.delete(RECORDS, "one") > removed_at
    again = await state.create(RECORDS, "one", value=Text(text="2"))
    assert (await state.get(RECORDS, "one")).revision == again


async def test_of_several_writers_at_once_one_wins(state):
    revision = await state.create(RECORDS, "one", value=Text())
    results = await asyncio.gather(
        *(state.update(RECORDS, "one", value=Text(count=n), revision=revision) for n in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_revisions_order_all_records(state):
    revisions = [await state.create(RECORDS, str(n), value=Text()) for n in range(3)]
    revisions.append(await state.create(PARTS, "a", value=Text()))
    assert revisions == sorted(set(revisions))


async def test_any_name_can_be_a_part_of_a_key(state):
    for name in ("a.b", "ü", "x y", "*", ">", "=2E", "$", "a" * 200):
        await state.create(RECORDS, name, value=Text(text=name))
    view = await state.view(RECORDS)
    assert {parts[0]: entry.value.text for parts, entry in view.items(RECORDS)} == {
        name: name for name in ("a.b", "ü", "x y", "*", ">", "=2E", "$", "a" * 200)
    }


async def test_a_view_is_complete_when_it_is_returned_and_follows(state):
    await state.create(RECORDS, "one", value=Text(text="1"))
    await state.create(PARTS, "part", value=Text(text="p"))
    gone = await state.create(RECORDS, "gone", value=Text())
    await state.delete(RECORDS, "gone", revision=gone)
    view = await state.view(RECORDS)
    assert [parts for parts, _ in view.items(RECORDS)] == [("one",)]
    revision = await state.create(RECORDS, "two", value=Text(text="2"))
    await view.reached(revision)
    assert view.get(RECORDS, "two").value == Text(text="2")
    assert view.get(RECORDS, "two").revision == revision
    await view.reached(await state.delete(RECORDS, "one"))
    assert view.get(RECORDS, "one") is None


async def test_an_empty_view_is_complete_too(state):
    view = await state.view(RECORDS, PARTS)
    assert (view.count(RECORDS), view.count(PARTS)) == (0, 0)


async def test_a_stopped_view_stays_as_it_was(state):
    view = await state.view(RECORDS)
    other = await state.view(RECORDS)
    view.stop()
    view.stop()
    await other.reached(await state.create(RECORDS, "one", value=Text()))
    assert (view.count(RECORDS), other.count(RECORDS)) == (0, 1)


async def test_views_tell_changes_in_order_but_perhaps_not_what_was_overwritten_at_once(state):
    view = await state.view(RECORDS)
    told = []
    view.on_change(lambda keys, parts, entry: told.append((parts[0], entry and entry.value.count)))
    revision = await state.create(RECORDS, "one", value=Text(count=1))
    await view.reached(revision)
    for count in range(2, 20):
        revision = await state.update(RECORDS, "one", value=Text(count=count), revision=revision)
    await view.reached(revision)
    await view.reached(await state.delete(RECORDS, "one", revision=revision))
    assert told[0] == ("one", 1)
    assert told[-2:] == [("one", 19), ("one", None)]
    assert told[:-1] == sorted(told[:-1])


async def test_a_record_keeps_the_trace_of_its_last_writer(state):
    stop = telemetry.configure("test", "node1", lambda record: None)
    with telemetry.span("write") as span:
        await state.create(RECORDS, "one", value=Text())
        trace = f"{span.get_span_context().trace_id:032x}"
    stop()
    assert trace in (await state.get(RECORDS, "one")).traceparent


@given(st.text(), st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_what_is_sealed_is_read_again(text, count):
    value = Text(text=text, count=count)
    entry = unseal(seal(value, "me"), RECORDS, "echoes.one", 7)
    assert (entry.value, entry.revision) == (value, 7)


@given(st.binary())
def test_bytes_that_are_no_record_are_data_loss(payload):
    with pytest.raises(DataLoss, match=r"echoes\.one revision 7"):
        unseal(payload, RECORDS, "echoes.one", 7)


def test_the_envelope_tells_who_wrote_and_when():
    envelope = msgspec.json.decode(seal(Text(text="x"), "me"), type=Envelope)
    assert (envelope.schema, envelope.written_by) == (1, "me")
    assert envelope.at > 1_700_000_000_000_000_000


def test_a_record_of_another_type_is_data_loss():
    payload = msgspec.json.encode(Envelope(1, "me", 0, msgspec.Raw(b'{"count":"many"}')))
    with pytest.raises(DataLoss, match="count"):
        unseal(payload, Keys("echoes.*", Text), "echoes.one", 1)


def test_both_kinds_of_markers_mean_removal():
    assert removed(Delivery("k", b"", {"KV-Operation": "PURGE"}))
    assert removed(Delivery("k", b"", {"Nats-Marker-Reason": "MaxAge"}))
    assert not removed(Delivery("k", b"{}", {}))
