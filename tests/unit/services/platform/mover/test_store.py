"""Pages by address, across regions."""

from __future__ import annotations

import os

from services.platform.mover.store import PAGE, REGION, Store


def pages(number: int) -> bytes:
    return os.urandom(number * PAGE)


def test_pages_come_back_across_a_region_s_end() -> None:
    store, data = Store(), pages(4)
    start = 3 * REGION - 2 * PAGE
    store.put(1, start, data)
    assert store.get(1, start, len(data)) == data
    assert store.get(1, start + PAGE, 2 * PAGE) == data[PAGE : 3 * PAGE]
    assert store.get(2, start, PAGE) is None
    assert store.get(1, start, len(data) + PAGE) is None


def test_what_is_missing() -> None:
    store = Store()
    store.put(1, 2 * PAGE, pages(1))
    store.put(1, 4 * PAGE, pages(2))
    assert list(store.missing(1, 0, 8 * PAGE)) == [(0, 2 * PAGE), (3 * PAGE, PAGE), (6 * PAGE, 2 * PAGE)]
    assert list(store.missing(7, REGION - PAGE, 2 * PAGE)) == [(REGION - PAGE, PAGE), (REGION, PAGE)]


def test_the_first_pages_are_given_as_far_as_they_are_there() -> None:
    store, data = Store(), pages(3)
    store.put(1, 0, data)
    assert store.begin(1, 0, 8 * PAGE) == data
    assert store.begin(1, PAGE, PAGE) == data[PAGE : 2 * PAGE]
    assert store.begin(1, 3 * PAGE, PAGE) == b""
    assert store.begin(1, 9 * REGION, PAGE) == b""


def test_changes_are_told_in_runs_as_long_as_can_be() -> None:
    store, data = Store(), bytearray(pages(40))
    assert list(store.changed(1, 0, bytes(data))) == [(0, len(data))]
    store.put(1, 0, bytes(data))
    assert list(store.changed(1, 0, bytes(data))) == []
    for page in (3, 4, 20, 39):
        data[page * PAGE + 17] ^= 1
    assert list(store.changed(1, 0, bytes(data))) == [(3 * PAGE, 2 * PAGE), (20 * PAGE, PAGE), (39 * PAGE, PAGE)]


def test_older_pages_are_taken_where_there_are_no_newer_ones() -> None:
    old, new = Store(), Store()
    first, second, elsewhere = pages(4), pages(1), pages(1)
    old.put(1, 0, first)
    old.put(1, 5 * REGION, elsewhere)
    new.put(1, PAGE, second)
    new.take_missing(old)
    assert new.get(1, 0, 4 * PAGE) == first[:PAGE] + second + first[2 * PAGE :]
    assert new.get(1, 5 * REGION, PAGE) == elsewhere
