"""Endpoint records written behind the calls."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from services.network.announcer import Announcer
from shared.contracts.network import ENDPOINTS, EndpointRecord
from shared.errors import Unavailable
from shared.state import MemoryState
from shared.tasks import TaskGroup

END = EndpointRecord(id="e1", network_id="n1", container_id="c1", container_name="web", node="node1")
RENAMED = msgspec.structs.replace(END, container_name="shop")


class Counted(MemoryState):
    """Counts writes, and refuses as many as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.refusals = 0
        self.asked = asyncio.Event()

    def note(self) -> None:
        self.writes += 1
        self.asked.set()
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("no store")

    async def create(self, *args: Any, **kwargs: Any) -> int:
        self.note()
        return await super().create(*args, **kwargs)

    async def delete(self, *args: Any, **kwargs: Any) -> int:
        self.note()
        return await super().delete(*args, **kwargs)


@pytest.fixture
async def state() -> Counted:
    return Counted()


@pytest.fixture
async def announcer(state: Counted) -> Announcer:
    return Announcer(state, TaskGroup("test"), delay=0.001, retry_delay=0.001)


async def stored(state: Counted) -> EndpointRecord | None:
    entry = await state.get(ENDPOINTS, "n1", "e1")
    return entry.value if entry else None


async def test_what_is_told_is_stored_and_what_is_retracted_goes(state: Counted, announcer: Announcer) -> None:
    announcer.tell(END)
    await announcer.settled(5)
    assert await stored(state) == END
    announcer.tell(RENAMED)
    await announcer.settled(5)
    assert await stored(state) == RENAMED
    announcer.retract("n1", "e1")
    await announcer.settled(5)
    assert await stored(state) is None


async def test_what_lived_shortly_is_never_written(state: Counted, announcer: Announcer) -> None:
    announcer.tell(END)
    announcer.retract("n1", "e1")
    await announcer.settled(5)
    assert state.writes == 0


async def test_only_the_last_word_counts(state: Counted, announcer: Announcer) -> None:
    announcer.tell(END)
    announcer.tell(RENAMED)
    await announcer.settled(5)
    assert (state.writes, await stored(state)) == (1, RENAMED)


async def test_a_store_that_refuses_is_asked_again(state: Counted, announcer: Announcer) -> None:
    state.refusals = 2
    announcer.tell(END)
    await announcer.settled(5)
    assert (state.writes, await stored(state)) == (3, END)


async def test_a_retraction_overtakes_a_write_that_failed(state: Counted, announcer: Announcer) -> None:
    state.refusals = 1
    announcer.tell(END)
    await state.asked.wait()
    announcer.retract("n1", "e1")
    await announcer.settled(5)
    assert await stored(state) is None


async def test_what_the_store_had_before_can_be_retracted(state: Counted, announcer: Announcer) -> None:
    await state.create(ENDPOINTS, "n1", "e1", value=END)
    announcer.known(END)
    announcer.tell(END)
    await announcer.settled(5)
    assert await stored(state) == END
    announcer.retract("n1", "e1")
    await announcer.settled(5)
    assert await stored(state) is None


async def test_nothing_told_is_nothing_to_wait_for(announcer: Announcer) -> None:
    began = asyncio.get_running_loop().time()
    await announcer.settled(5)
    assert asyncio.get_running_loop().time() - began < 1
