"""Background tasks: kept, seen to fail, ended together."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextvars import ContextVar

import pytest

from shared import deadline
from shared.tasks import TaskGroup


async def forever(ended: list[str] | None = None) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        if ended is not None:
            ended.append("ended")


async def fail(message: str) -> None:
    raise ValueError(message)


async def test_a_task_is_counted_until_it_ends() -> None:
    group, go = TaskGroup("group"), asyncio.Event()
    task = group.start(go.wait(), "work")
    assert (len(group), task.get_name()) == (1, "group:work")
    go.set()
    assert await task is True
    await asyncio.sleep(0)  # its callbacks run in the next turn
    assert len(group) == 0


async def test_a_task_that_nobody_else_holds_is_not_collected() -> None:
    group, ended = TaskGroup("group"), list[str]()
    group.start(forever(ended))
    await asyncio.sleep(0)
    gc.collect()
    assert (len(group), ended) == (1, [])
    await group.close()


async def test_a_failure_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    group = TaskGroup("group")
    group.start(fail("broken"), "work")
    await group.drain(5)
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "task group:work failed")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "broken"


async def test_the_end_of_a_cancelled_task_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    group = TaskGroup("group")
    group.start(forever())
    await group.close()
    assert caplog.records == []


async def test_the_deadline_of_the_starter_does_not_bind() -> None:
    async def left() -> float | None:
        return deadline.left()

    group = TaskGroup("group")
    with deadline.within(10):
        assert await group.start(left()) is None
        assert deadline.left() is not None


async def test_the_rest_of_the_context_is_inherited() -> None:
    trace: ContextVar[str] = ContextVar("trace", default="")

    async def seen() -> str:
        return trace.get()

    trace.set("mine")
    assert await TaskGroup("group").start(seen()) == "mine"


async def test_draining_waits_for_the_end() -> None:
    group, done = TaskGroup("group"), list[int]()

    async def work(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)
        done.append(number)

    for number in (3, 1, 2):
        group.start(work(number))
    await group.drain(5)
    assert done == [1, 2, 3]
    await group.drain(5)  # nothing left


async def test_draining_gives_up_and_lets_the_task_run() -> None:
    group = TaskGroup("group")
    task = group.start(forever())
    await group.drain(0)
    assert not task.done()
    await group.close()


async def test_closing_cancels_and_waits() -> None:
    group, ended = TaskGroup("group"), list[str]()
    tasks = [group.start(forever(ended)) for _ in range(3)]
    await asyncio.sleep(0)
    await group.close()
    assert ended == ["ended"] * 3
    assert all(task.cancelled() for task in tasks)


async def test_closing_goes_on_when_a_task_fails_at_its_end() -> None:
    async def stubborn() -> None:
        try:
            await forever()
        finally:
            await fail("at the end")

    group, ended = TaskGroup("group"), list[str]()
    group.start(stubborn())
    group.start(forever(ended))
    await asyncio.sleep(0)
    await group.close()
    assert ended == ["ended"]


async def test_a_task_may_close_its_own_group() -> None:
    group, ended = TaskGroup("group"), list[str]()

    async def closer() -> str:
        await group.close()
        return "closed"

    group.start(forever(ended))
    await asyncio.sleep(0)
    assert await group.start(closer()) == "closed"
    assert ended == ["ended"]


async def test_cancelling_does_not_wait() -> None:
    group, ended = TaskGroup("group"), list[str]()
    task = group.start(forever(ended))
    await asyncio.sleep(0)
    group.cancel()
    assert ended == []
    await asyncio.wait([task])
    assert task.cancelled()


async def test_closing_ends_what_a_cancelled_task_begins() -> None:
    group, ended = TaskGroup("group"), list[str]()

    async def last_wish() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            group.start(forever(ended))

    group.start(last_wish())
    await asyncio.sleep(0)
    await group.close()
    assert len(group) == 0
