"""A workload that counts: it goes on where it was, at the one host or at the other, whatever is taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.contracts.base import Empty, Endpoint
from shared.contracts.migration_driver import (
    ABANDON,
    DISCARD,
    DUMP,
    FREEZE,
    MIGRATABLE,
    RESTORE,
    RESUME,
    SETTLE,
    THAW,
    MigratableRequest,
    Strategy,
)
from shared.contracts.platform import SignalRequest
from shared.errors import Conflict, FailedPrecondition, NotFound
from tests.support.moving_hosts import COUNT, counted
from tests.support.platform_host import Host

from .conftest import Drivers

STRATEGIES: tuple[Strategy, ...] = ("copy", "post-copy")


async def state(host: Host, name: str) -> str:
    """As the platform tells it; empty: it knows nothing of it."""
    listed = await host.service.list(Empty())
    return next((each.state for each in listed.workloads if each.id == name), "")


async def test_what_it_says_of_a_workload(drivers: Drivers) -> None:
    with pytest.raises(NotFound):
        await drivers.call(MIGRATABLE, MigratableRequest(id="nope"), drivers.pair.a)
    request = await drivers.pair.started(*COUNT)
    told = await drivers.call(MIGRATABLE, MigratableRequest(id=request.id), drivers.pair.a)
    assert told.reasons == ()
    assert told.memory_bytes > 0
    assert set(told.strategies) <= set(STRATEGIES)
    there = await drivers.call(MIGRATABLE, MigratableRequest(source=told.host), drivers.pair.b)
    assert there.reasons == ()


async def test_it_moves(drivers: Drivers) -> None:
    """By each of the driver's strategies."""
    known = await drivers.strategies()
    assert known
    for strategy in known:
        await moves(drivers, strategy)


async def moves(drivers: Drivers, strategy: Strategy) -> None:
    """To the end, asked more than once on the way."""
    pair = drivers.pair
    request = await pair.started(*COUNT)
    last = (await counted(pair.a, request.id))[-1]
    told = await drivers.call(MIGRATABLE, MigratableRequest(id=request.id), pair.a)
    await drivers.begun(request, strategy)
    assert await state(pair.a, request.id) == "running"
    await drivers.source(FREEZE, request.id)
    assert await state(pair.a, request.id) != "running"
    restoring = asyncio.ensure_future(drivers.target(RESTORE, request.id))  # it waits for the dump
    await drivers.source(DUMP, request.id)
    await restoring
    await drivers.target(RESTORE, request.id)
    assert await state(pair.b, request.id) != "running"
    before = [int(text) for _, text in await pair.a.logs(request.id)]
    reply = await drivers.target(RESUME, request.id)
    assert (await drivers.target(RESUME, request.id)).pid == reply.pid
    assert await state(pair.b, request.id) == "running"
    await drivers.source(DISCARD, request.id)
    await drivers.target(SETTLE, request.id)
    assert await state(pair.a, request.id) in ("", "stopped")
    await drivers.source(DISCARD, request.id)
    numbers = await counted(pair.b, request.id)
    begin = 0 if told.log else before[-1] + 1
    assert numbers == list(range(begin, begin + len(numbers)))
    assert before[-1] >= last
    with pytest.raises(Conflict):
        await drivers.target(ABANDON, request.id)
    await pair.b.service.signal(SignalRequest(id=request.id, signal=10))
    assert (await pair.b.exited(request.id)).exit_code == 33


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
async def test_taken_back_it_goes_on_and_may_move_after_all(drivers: Drivers, steps: int) -> None:
    """After so many of freeze, dump and restore."""
    pair, strategy = drivers.pair, (await drivers.strategies())[0]
    request = await pair.started(*COUNT)
    await drivers.begun(request, strategy)
    for call, step in ((drivers.source, FREEZE), (drivers.source, DUMP), (drivers.target, RESTORE))[:steps]:
        await call(step, request.id)
    for _ in range(2):
        await drivers.source(THAW, request.id)
        await drivers.target(ABANDON, request.id)
    assert await state(pair.a, request.id) == "running"
    assert await state(pair.b, request.id) == ""
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))
    for refused in (RESTORE, RESUME):
        with pytest.raises(NotFound):
            await drivers.target(refused, request.id)
    await drivers.begun(request, strategy)
    await drivers.source(FREEZE, request.id)
    await drivers.source(DUMP, request.id)
    await drivers.target(RESTORE, request.id)
    await drivers.target(RESUME, request.id)
    await drivers.source(DISCARD, request.id)
    assert await state(pair.b, request.id) == "running"


@pytest.mark.parametrize("asked", [True, False])
async def test_it_is_let_go_on_before_it_is_restored(drivers: Drivers, asked: bool) -> None:
    """`resume` waits for `restore`, which may also come after it, or never."""
    pair, strategy = drivers.pair, (await drivers.strategies())[0]
    request = await pair.started(*COUNT)
    await drivers.begun(request, strategy)
    await drivers.source(FREEZE, request.id)
    restoring = [asyncio.ensure_future(drivers.target(RESTORE, request.id))] if asked else []
    await drivers.source(DUMP, request.id)
    reply = await drivers.target(RESUME, request.id)
    await asyncio.gather(*restoring)
    await drivers.target(RESTORE, request.id)
    assert (await drivers.target(RESUME, request.id)).pid == reply.pid
    await drivers.source(DISCARD, request.id)
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert await state(pair.a, request.id) in ("", "stopped")
    assert await state(pair.b, request.id) == "running"


async def test_whoever_waits_for_a_dump_that_never_comes_is_told(drivers: Drivers) -> None:
    pair, strategy = drivers.pair, (await drivers.strategies())[0]
    request = await pair.started(*COUNT)
    await drivers.begun(request, strategy)
    await drivers.source(FREEZE, request.id)
    restoring = asyncio.ensure_future(drivers.target(RESTORE, request.id))
    done, _ = await asyncio.wait((restoring,), timeout=0.3)
    assert not done
    await drivers.source(THAW, request.id)
    await drivers.target(ABANDON, request.id)
    with pytest.raises((NotFound, Conflict, FailedPrecondition)):
        await restoring
    assert await state(pair.a, request.id) == "running"
    assert await state(pair.b, request.id) == ""


async def test_what_is_not_being_moved(drivers: Drivers) -> None:
    await drivers.source(THAW, "nope")
    await drivers.source(DISCARD, "nope")
    await drivers.target(ABANDON, "nope")
    unknown: tuple[Endpoint[Any, Any], ...] = (FREEZE, RESTORE, RESUME, SETTLE)
    for refused in unknown:
        with pytest.raises((NotFound, Conflict)):
            await drivers.source(refused, "nope")
    request = await drivers.pair.started(*COUNT)
    for early in (FREEZE, DUMP):
        with pytest.raises(Conflict):
            await drivers.source(early, request.id)
    assert await state(drivers.pair.a, request.id) == "running"
