"""What is frozen to leave stays so until it is told, and runs on here as if nothing had been."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from services.platform.adapters import frozen as frozen_processes
from services.platform.adapters import process, syscalls
from shared.contracts import migration_driver
from shared.contracts.common import Ref
from shared.contracts.platform import CreateRequest, DeleteRequest, SignalRequest
from shared.errors import Conflict, FailedPrecondition, NotFound
from tests.support.moving_hosts import COUNT, Pair, counted, leftovers

ECHO = ("busybox", "nc", "-l", "-p", "7", "-e", "cat")


async def frozen(pair: Pair, request: CreateRequest, dumped: bool = False) -> Ref:
    await pair.sent(request)
    name = Ref(id=request.id)
    await pair.a.driver.freeze(name)
    if dumped:
        await pair.a.driver.dump(name)
    return name


@pytest.mark.parametrize("dumped", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
async def test_it_goes_on_here(pair: Pair, dumped: bool, restarted: bool) -> None:
    request = await pair.started(*COUNT)
    name = await frozen(pair, request, dumped)
    if restarted:
        await pair.a.restart()
    assert (await pair.a.state(request.id)).state == "leaving"
    lines = len(await pair.a.logs(request.id))
    await asyncio.sleep(0.5)
    assert len(await pair.a.logs(request.id)) <= lines + 2  # its monitor writes down what it said before
    await pair.b.driver.abandon(name)
    await pair.a.driver.thaw(name)
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))
    assert (await pair.a.state(request.id)).state == "running"
    await pair.a.driver.thaw(name)
    assert await pair.a.ran(request.id, "echo", "exec") == (0, b"exec\n")
    await pair.a.service.signal(SignalRequest(id=request.id, signal=10))
    assert await pair.a.code(request.id) == 33
    assert await leftovers(pair.b) == []


async def test_what_it_said_last_comes_along(pair: Pair) -> None:
    """Its monitor may be slow: what it has not written down when the processes are frozen must not be lost."""
    request = await pair.started(*COUNT)
    await counted(pair.a, request.id)
    await pair.sent(request, "copy")
    monitor = pair.a.linux.workloads.get(request.id).record.monitor
    os.kill(monitor, signal.SIGSTOP)
    await asyncio.sleep(0.2)  # it says what nobody reads
    name = Ref(id=request.id)
    await pair.a.driver.freeze(name)
    dumping = asyncio.ensure_future(pair.a.driver.dump(name))
    await asyncio.wait((dumping,), timeout=1.0)
    os.kill(monitor, signal.SIGCONT)
    await dumping
    await pair.b.driver.restore(name)
    await pair.b.driver.resume(name)
    await pair.a.driver.discard(name)
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))


async def test_what_nobody_takes_from_it_keeps_it_here(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_processes, "PATIENCE", 0.1)
    request = await pair.started(*COUNT)
    await counted(pair.a, request.id)
    await pair.sent(request)
    monitor = pair.a.linux.workloads.get(request.id).record.monitor
    os.kill(monitor, signal.SIGSTOP)
    await asyncio.sleep(0.1)
    await pair.a.driver.freeze(Ref(id=request.id))
    with pytest.raises(FailedPrecondition, match="output is not taken"):
        await pair.a.driver.dump(Ref(id=request.id))
    os.kill(monitor, signal.SIGCONT)
    await pair.b.driver.abandon(Ref(id=request.id))
    await pair.a.driver.thaw(Ref(id=request.id))
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))


async def test_after_a_thaw_it_can_be_moved(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    name = await frozen(pair, request, dumped=True)
    await pair.b.driver.abandon(name)
    await pair.a.driver.thaw(name)
    await pair.moved(request)
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))


def connected(path: str) -> socket.socket:
    """A connection to port 7 within the network namespace of that file."""
    made: list[socket.socket] = []

    def connect() -> None:
        with open(path) as file:
            syscalls.setns(file.fileno(), 0x40000000)
        while not made:
            try:
                made.append(socket.create_connection(("127.0.0.1", 7), 10))
            except ConnectionRefusedError:
                continue

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join(60)
    return made[0]


async def test_connections_live_on_after_a_dump_that_came_to_nothing(pair: Pair) -> None:
    request = await pair.started(*ECHO)
    client = await asyncio.to_thread(connected, request.isolation.network)
    with client:
        client.sendall(b"a")
        assert await asyncio.to_thread(client.recv, 1) == b"a"
        name = await frozen(pair, request, dumped=True)
        client.sendall(b"b")
        await pair.b.driver.abandon(name)
        await pair.a.driver.thaw(name)
        assert await asyncio.to_thread(client.recv, 1) == b"b"


async def test_while_it_leaves_nothing_else_is_done_with_it(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    name = await frozen(pair, request)
    for refused in (
        pair.a.service.pause(name),
        pair.a.service.signal(SignalRequest(id=request.id, signal=15)),
        pair.a.service.delete(DeleteRequest(id=request.id)),
        pair.a.driver.freeze(name),
        pair.a.exec(request.id, "true"),
    ):
        with pytest.raises(Conflict, match="is being migrated"):
            await refused
    with pytest.raises(Conflict, match="has not been moved"):
        await pair.a.driver.discard(name)
    await pair.a.driver.thaw(name)


async def test_what_has_gone_ends_silently(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    channel = await pair.a.attach(request.id)
    await pair.moved(request)
    while await channel.read():
        pass
    channel.close()
    assert not pair.a.exits[request.id].done()
    assert await leftovers(pair.a) == []
    assert not await pair.a.logs(request.id)
    await pair.a.driver.discard(Ref(id=request.id))


async def test_a_cut_link_freezes_nothing(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.sent(request)
    await pair.b.driver.abandon(Ref(id=request.id))
    await pair.a.driver.freeze(Ref(id=request.id))
    with pytest.raises(FailedPrecondition, match="transfer between the hosts failed"):
        await pair.a.driver.dump(Ref(id=request.id))
    await pair.a.driver.thaw(Ref(id=request.id))
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))


async def test_a_killed_mover_costs_nothing_before_the_switch(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await frozen(pair, request, dumped=True)
    departure = pair.a.linux.departures._known[request.id]
    with contextlib.suppress(ProcessLookupError):  # it has sent all
        os.kill(departure.mover.pid, signal.SIGKILL)
    await departure.mover.over
    await pair.b.driver.abandon(Ref(id=request.id))
    await pair.a.driver.thaw(Ref(id=request.id))
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))


async def test_a_move_that_had_not_begun_is_forgotten_by_the_next_platform(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.sent(request)
    gate = pair.a.linux.departures._known[request.id].record.gate
    await pair.a.restart()
    assert (await pair.a.state(request.id)).state == "running"
    assert process.start_time(gate) == 0
    assert not (Path(pair.a.settings.run_dir, "platform/moves") / request.id).exists()
    with pytest.raises(Conflict, match="not being moved"):
        await pair.a.driver.freeze(Ref(id=request.id))


async def test_reasons(pair: Pair) -> None:
    service, driver = pair.a.service, pair.a.driver
    with pytest.raises(NotFound):
        await driver.migratable(migration_driver.MigratableRequest(id="nope"))
    request = await pair.started(*COUNT)
    told = await driver.migratable(migration_driver.MigratableRequest(id=request.id))
    assert told.reasons == ()
    assert told.processes >= 1
    assert told.memory_bytes > 0
    there = await pair.b.driver.migratable(migration_driver.MigratableRequest(source=told.host))
    assert there.reasons == ()
    exec_id, _ = await pair.a.exec(request.id, "sleep", "1000")
    assert (await driver.migratable(migration_driver.MigratableRequest(id=request.id))).reasons == (
        "an exec runs in it",
    )
    with pytest.raises(FailedPrecondition, match="an exec runs in it"):
        await pair.sent(request)
    await service.signal(SignalRequest(id=request.id, signal=9, exec_id=exec_id))
    await pair.a.exited(exec_id)
    plain = await pair.a.run(*COUNT)
    assert (await driver.migratable(migration_driver.MigratableRequest(id=plain))).reasons == ()
