"""Pages by address, across regions."""

from __future__ import annotations

import ctypes
import os

import pytest

from services.platform.mover.store import PAGE, REGION, Store


def pages(number: int) -> bytes:
    return os.urandom(number * PAGE)


def begin(store: Store, process: int, address: int, length: int) -> bytes:
    """As many of the first pages as are here."""
    data = b""
    while length > len(data) and (found := store.here(process, address + len(data), length - len(data)))[1]:
        data += ctypes.string_at(*found)
    return data


def test_pages_come_back_across_a_region_s_end() -> None:
    store, data = Store(), pages(4)
    start = 3 * REGION - 2 * PAGE
    store.put(1, start, data)
    assert begin(store, 1, start, len(data)) == data
    assert begin(store, 1, start + PAGE, 2 * PAGE) == data[PAGE : 3 * PAGE]
    assert begin(store, 2, start, PAGE) == b""


def test_the_first_pages_are_given_as_far_as_they_are_there() -> None:
    store, data = Store(), pages(3)
    store.put(1, 0, data)
    assert begin(store, 1, 0, 8 * PAGE) == data
    assert begin(store, 1, PAGE, PAGE) == data[PAGE : 2 * PAGE]
    assert begin(store, 1, 3 * PAGE, PAGE) == b""
    assert begin(store, 1, 9 * REGION, PAGE) == b""


def test_changes_are_told_in_runs_as_long_as_can_be() -> None:
    store, data = Store(), bytearray(pages(40))
    assert list(store.changed(1, 0, bytes(data))) == [(0, len(data))]
    store.put(1, 0, bytes(data))
    assert list(store.changed(1, 0, bytes(data))) == []
    for page in (3, 4, 20, 39):
        data[page * PAGE + 17] ^= 1
    assert list(store.changed(1, 0, bytes(data))) == [(3 * PAGE, 2 * PAGE), (20 * PAGE, PAGE), (39 * PAGE, PAGE)]


def test_doubted_pages_are_missing_until_they_come_again_or_are_confirmed() -> None:
    store, first, second = Store(), pages(4), pages(1)
    start = REGION - 2 * PAGE
    store.put(1, start, first)
    store.doubt()
    assert begin(store, 1, start, PAGE) == b""
    assert list(store.changed(1, start, first)) == [(0, len(first))]
    store.put(1, start + PAGE, second)
    store.confirm(1, start + 2 * PAGE, 2 * PAGE)
    assert begin(store, 1, start + PAGE, 4 * PAGE) == second + first[2 * PAGE :]
    assert begin(store, 1, start, 4 * PAGE) == b""
    store.confirm(1, start, PAGE)
    assert begin(store, 1, start, 4 * PAGE) == first[:PAGE] + second + first[2 * PAGE :]


def test_what_never_came_cannot_be_confirmed() -> None:
    store = Store()
    store.put(1, 0, pages(1))
    store.doubt()
    for address, length in ((0, 2 * PAGE), (REGION, PAGE)):
        with pytest.raises(ValueError, match="never came"):
            store.confirm(1, address, length)
