from __future__ import annotations

import asyncio

import pytest

from services.executor.operations.shielded import finish
from shared.errors import NotFound
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
    await asyncio.wait_for(done.wait(), 1)
    assert done.is_set()
