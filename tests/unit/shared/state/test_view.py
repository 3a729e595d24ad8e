from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.base import Keys
from shared.errors import Unavailable
from shared.state.view import Entry, View
from tests.support.echo import PARTS, RECORDS, Text


def entry(key: str, revision: int) -> Entry[Text]:
    return Entry(key, Text(count=revision), revision)


changes = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30)


@given(changes, st.data())
def test_changes_in_order_repeated_or_not_give_the_last_state(history, data):
    view, wanted = View(RECORDS), {}
    for revision, (name, removed) in enumerate(history, 1):
        repeated = data.draw(st.integers(min_value=max(1, revision - 3), max_value=revision))
        for at in range(repeated, revision + 1):
            old_name, old_removed = history[at - 1]
            key = f"echoes.{old_name}"
            view.apply(key, None if old_removed else entry(key, at), at)
        wanted[name] = None if removed else revision
        assert view.revision == revision
    shown = {parts[0]: shown.revision for parts, shown in view.items(RECORDS)}
    assert shown == {name: revision for name, revision in wanted.items() if revision}


def test_listeners_hear_changes_until_they_stop():
    view, told = View(RECORDS), []
    stop = view.on_change(lambda keys, parts, change: told.append((keys, parts, change)))
    view.apply("echoes.a", entry("echoes.a", 1), 1)
    view.apply("echoes.never", None, 2)
    view.apply("other.a", entry("other.a", 3), 3)
    stop()
    view.apply("echoes.a", None, 4)
    assert told == [(RECORDS, ("a",), entry("echoes.a", 1))]
    assert view.revision == 4


def test_what_was_written_here_shows_before_the_feed_brings_it():
    view, told = View(RECORDS), []
    view.apply("echoes.a", entry("echoes.a", 1), 1)
    view.on_change(lambda keys, parts, change: told.append((parts, change)))
    view.own(RECORDS, ("a",), Text(count=5), 5)
    assert told == [(("a",), entry("echoes.a", 5))]
    assert view.revision == 1  # what others have written before it is still to come
    view.apply("echoes.a", entry("echoes.a", 3), 3)
    view.apply("echoes.a", entry("echoes.a", 5), 5)
    assert len(told) == 1
    view.apply("echoes.a", None, 6)
    assert told[1:] == [(("a",), None)]


def test_what_a_fresh_start_did_not_show_is_gone():
    view, told = View(RECORDS, PARTS), []
    for number, key in enumerate(("echoes.a", "echoes.b", "echoes.a.part"), 1):
        view.apply(key, entry(key, number), number)
    view.on_change(lambda keys, parts, change: told.append((keys.pattern, parts, change)))
    view.retain({"echoes.b"})
    assert told == [("echoes.*", ("a",), None), ("echoes.*.part", ("a",), None)]
    assert [parts for parts, _ in view.items(RECORDS)] == [("b",)]


async def test_waiting_for_a_revision_ends_with_it_and_not_before():
    view = View(RECORDS)
    waiting = asyncio.ensure_future(view.reached(2))
    view.advance(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    view.advance(3)
    await waiting
    await view.reached(3)


async def test_a_revision_that_does_not_come_is_told():
    with pytest.raises(Unavailable, match="shoal status"):
        await View(RECORDS).reached(1, timeout=0.01)


def test_families_of_two_buckets_have_no_common_order():
    with pytest.raises(ValueError, match="bucket"):
        View(RECORDS, Keys("leases.*", Text, bucket="other"))


def test_items_may_be_changed_while_they_are_read():
    view = View(RECORDS)
    for name in "ab":
        view.apply(f"echoes.{name}", entry(f"echoes.{name}", ord(name)), ord(name))
    for parts, _ in view.items(RECORDS):
        view.apply(f"echoes.{parts[0]}", None, 1000 + ord(parts[0]))
    assert view.count(RECORDS) == 0
