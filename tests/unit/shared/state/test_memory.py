"""What only the in-memory twin has; what it shares with the real store is in test_store.py."""

from __future__ import annotations

import pytest

from shared.errors import DataLoss
from shared.state import MemoryState
from tests.support.echo import RECORDS, Text


async def test_views_see_writes_later_as_over_a_broker() -> None:
    state = MemoryState()
    view = await state.view(RECORDS)
    revision = await state.create(RECORDS, "one", value=Text(text="1"))
    assert view.get(RECORDS, "one") is None
    await view.reached(revision)
    entry = view.get(RECORDS, "one")
    assert entry is not None
    assert entry.value == Text(text="1")


async def test_records_pass_through_their_stored_form() -> None:
    state = MemoryState()
    await state.create(RECORDS, "one", value=Text(text="1"))
    state._records[RECORDS.key("one")] = (b"{}", 1)
    with pytest.raises(DataLoss, match=r"echoes\.one"):
        await state.get(RECORDS, "one")


async def test_a_view_that_ended_is_told_nothing() -> None:
    state = MemoryState()
    view = await state.view(RECORDS)
    view.stop()
    await state.create(RECORDS, "one", value=Text(text="1"))
    other = await state.view(RECORDS)
    assert (view.count(RECORDS), other.count(RECORDS)) == (0, 1)
