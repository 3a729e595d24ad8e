from __future__ import annotations

import asyncio
import threading
from typing import get_type_hints

import pytest

from shared.errors import NotFound
from shared.shielded import carried_through, finish, in_thread
from shared.tasks import TaskGroup


async def test_results_and_refusals_come_back() -> None:
    async def work() -> int:
        return 7

    async def refuse() -> int:
        raise NotFound("no")

    tasks = TaskGroup("test")
    assert await finish(tasks, work()) == 7
    with pytest.raises(NotFound):
        await finish(tasks, refuse())
    assert len(tasks) == 0


async def test_work_outlives_its_caller() -> None:
    go, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()

    tasks = TaskGroup("test")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await finish(tasks, work())
    go.set()
    await asyncio.wait_for(done.wait(), 60)
    assert done.is_set()


class Service:
    def __init__(self) -> None:
        self.tasks = TaskGroup("test")
        self.go, self.done = asyncio.Event(), asyncio.Event()

    @carried_through
    async def double(self, request: int) -> int:
        await self.go.wait()
        self.done.set()
        return 2 * request


async def test_an_endpoint_is_carried_through_and_keeps_its_types() -> None:
    service = Service()
    asked = asyncio.ensure_future(service.double(4))
    await asyncio.sleep(0)
    asked.cancel()
    service.go.set()
    await asyncio.wait_for(service.done.wait(), 60)
    assert await service.double(4) == 8
    assert get_type_hints(Service.double) == {"request": int, "return": int}


async def test_who_is_cancelled_waits_for_his_thread() -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(60)
        done.set()
        raise ValueError("heard by nobody")

    waiting = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(begun.wait, 60)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done.is_set()


async def test_a_threads_result_and_error_come_back() -> None:
    assert await in_thread(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x")
