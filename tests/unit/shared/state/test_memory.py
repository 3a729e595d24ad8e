"""What the twin does apart from the suite that it shares with a real broker."""

from __future__ import annotations

import asyncio

import pytest

from shared.contracts.base import AGREED, Keys
from shared.state import MemoryState
from tests.support.echo import RECORDS, Text


async def test_what_cannot_be_stored_fails_here_too():
    with pytest.raises(TypeError):
        await MemoryState().create(RECORDS, "one", value=Text(text=object()))  # type: ignore[arg-type]


async def test_views_show_a_write_only_in_a_later_turn_as_over_a_broker():
    state = MemoryState()
    view = await state.view(RECORDS)
    revision = await state.create(RECORDS, "one", value=Text())
    assert view.count(RECORDS) == 0
    await view.reached(revision)
    assert view.count(RECORDS) == 1


async def test_closing_ends_all_views():
    state = MemoryState()
    view = await state.view(RECORDS)
    await state.close()
    view.stop()
    await state.create(RECORDS, "one", value=Text())
    await asyncio.sleep(0)
    assert view.count(RECORDS) == 0


async def test_a_key_in_another_bucket_or_on_another_host_is_another_record():
    state = MemoryState()
    state.hosts["n2"] = MemoryState()
    agreed = Keys(RECORDS.pattern, Text, bucket=AGREED)
    view = await state.view(RECORDS)
    await state.create(RECORDS, "one", value=Text(text="own"))
    await view.reached(await state.create(agreed, "one", value=Text(text="agreed")))
    await state.hosts["n2"].create(RECORDS, "one", value=Text(text="theirs"))
    found = [await state.get(keys, "one", host=host) for keys, host in ((RECORDS, ""), (agreed, ""), (RECORDS, "n2"))]
    assert [entry.value.text for entry in found if entry] == ["own", "agreed", "theirs"]
    assert [entry.value.text for _, entry in view.items(RECORDS)] == ["own"]
    assert (await state.view(RECORDS, host="n2")).count(RECORDS) == 1
    assert await state.latest(RECORDS, host="n2") == 1
