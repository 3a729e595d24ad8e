"""What comes here runs here as it ran there; and what does not come leaves nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters import process
from services.platform.adapters.arriving import Arrival
from services.platform.adapters.cgroup import Cgroups
from shared import hostmounts
from shared.contracts.common import Ref
from shared.contracts.container import MountPoint, Resources
from shared.contracts.migration_driver import ReceiveRequest, Strategy
from shared.contracts.platform import CreateRequest, SignalRequest, UpdateRequest
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound
from tests.support.moving_hosts import COUNT, Pair, counted, leftovers, until_gone
from tests.support.platform_host import Host
from tests.support.waiting import until

GROWS = ("sh", "-c", "trap 'x=$(yes | head -c 80000000); echo there' USR1; echo ready; while :; do usleep 10000; done")
"""Has more memory than can come in a moment, once it is told by SIGUSR1."""


@pytest.fixture
def slow() -> Iterator[Callable[[int], None]]:
    """Has a process get a fifth of a processor."""
    groups, group = Cgroups(), f"/shoal-test-slow-{os.getpid()}"
    groups.prepare(group, ())
    groups.limit(group, {"cpu": {"quota": 20_000, "period": 100_000}})

    def enter(pid: int) -> None:
        for folder in groups.folders(group):
            (folder / "cgroup.procs").write_text(str(pid))

    yield enter
    groups.remove(group)


async def held_without_its_memory(pair: Pair, slow: Callable[[int], None]) -> CreateRequest:
    """Most of what it has got since memory was sent has not come: the source's mover is slow, and then stopped."""
    request = await pair.started(*GROWS)
    await pair.a.logged(request.id, 1)
    await pair.sent(request)
    await pair.a.service.signal(SignalRequest(id=request.id, signal=signal.SIGUSR1))
    await pair.a.logged(request.id, 2)
    mover = pair.a.linux.departures._known[request.id].mover
    slow(mover.pid)
    await pair.a.driver.freeze(Ref(id=request.id))
    await pair.a.driver.dump(Ref(id=request.id))
    await pair.b.driver.restore(Ref(id=request.id))
    os.kill(mover.pid, signal.SIGSTOP)
    return request


async def mount_lines(host: Host, name: str) -> list[list[str]]:
    """Place and options of every mount in it, but for `relatime`: criu says it of the empty folders that mask, and this
    test's are in /tmp, which Debian 13 mounts with strict times."""
    text = Path(f"/proc/{host.linux.workloads.get(name).record.pid}/mountinfo").read_text()
    return sorted([line.split()[4], line.split()[5].replace(",relatime", "")] for line in text.splitlines())


@pytest.mark.parametrize("strategy", ["post-copy", "copy"])
async def test_it_goes_on_here(pair: Pair, strategy: Strategy) -> None:
    request = await pair.started(*COUNT, resources=Resources(memory=64 << 20, nano_cpus=500_000_000))
    before = await mount_lines(pair.a, request.id)
    reply = await pair.moved(request, strategy)
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))
    state = await pair.b.state(request.id)
    assert (state.state, state.pid, state.started_at) == ("running", reply.pid, 1)
    assert await mount_lines(pair.b, request.id) == before
    assert await pair.b.ran(request.id, "echo", "exec") == (0, b"exec\n")
    usage = await pair.b.usage(request.id)
    assert usage["memory_stats"]["limit"] == 64 << 20
    await pair.b.service.update(UpdateRequest(id=request.id, resources=Resources(memory=96 << 20)))
    await pair.b.service.pause(Ref(id=request.id))
    await pair.b.service.unpause(Ref(id=request.id))
    await pair.b.restart()
    await pair.b.service.signal(SignalRequest(id=request.id, signal=10))
    assert await pair.b.code(request.id) == 33
    await pair.b.delete(request.id)
    assert await leftovers(pair.b) == []
    assert not Path(pair.b.settings.run_dir, "platform/moves").exists()


async def test_it_is_confined_as_before(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    before = await pair.a.confinement(request.id)
    assert "head: /disk: Operation not permitted" in before
    assert all(line.endswith(":/") for line in before.splitlines() if line.count(":") == 2 and line[0].isdigit())
    await pair.moved(request)
    assert await pair.b.confinement(request.id) == before


async def test_there_and_back_again(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.moved(request)
    here, there = Pair(pair.b, pair.a, pair.networks), Pair(pair.a, pair.b, pair.networks)
    await here.moved(request, "copy")
    await there.moved(request)
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))


async def test_processes_of_another_user(pair: Pair) -> None:
    """criu asks for their limits, which takes a capability that the engine may not have."""
    request = await pair.started(*COUNT, process_user="alice")
    await pair.moved(request)
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))
    assert process.real_ids((await pair.b.state(request.id)).pid) == (1000, 1000)


async def test_its_streams_are_the_new_monitor_s(pair: Pair) -> None:
    request = await pair.started("cat", process_stdin=True)
    for host in (pair.a, pair.b):
        channel = await host.attach(request.id, stdin=True)
        await channel.write(b"hello\n")
        assert b"hello\n" in await channel.read()
        channel.close()
        if host is pair.a:
            await pair.moved(request)
    assert [data for _, data in await pair.b.logs(request.id)] == [b"hello\n", b"hello\n"]


async def test_volumes_and_their_options(pair: Pair) -> None:
    points = []
    for name, rw in (("one", True), ("two", False), ("three", True)):
        folder = pair.a.directory / name
        folder.mkdir()
        points.append(MountPoint(type="bind", source=str(folder), destination=f"/{name}", rw=rw))
    request = await pair.started(*COUNT, mounts=tuple(points))
    before = await mount_lines(pair.a, request.id)
    assert any(place == "/two" and options.startswith("ro") for place, options in before)
    await pair.moved(request)
    assert await mount_lines(pair.b, request.id) == before


async def test_what_was_mounted_after_the_target_was_told_of_mounts(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.sent(request)
    pid = (await pair.a.state(request.id)).pid
    Path(f"/proc/{pid}/root/late").mkdir()
    mount = partial(hostmounts.mount, "late", "/late", "tmpfs", 0, "size=1m")
    await pair.a.linux.departures._launcher.beside(pid, mount)
    Path(f"/proc/{pid}/root/late/folder").mkdir()
    before = await mount_lines(pair.a, request.id)
    await pair.a.driver.freeze(Ref(id=request.id))
    await pair.a.driver.dump(Ref(id=request.id))
    await pair.b.driver.restore(Ref(id=request.id))
    reply = await pair.b.driver.resume(Ref(id=request.id))
    await pair.a.driver.discard(Ref(id=request.id))
    assert "/late" in [place for place, _ in before]
    assert await mount_lines(pair.b, request.id) == before
    assert Path(f"/proc/{reply.pid}/root/late/folder").is_dir()


async def test_held_it_outlives_the_platform(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.held(request)
    lines = len(await pair.b.logs(request.id))
    await pair.b.restart()
    assert (await pair.b.state(request.id)).state == "held"
    assert len(await pair.b.logs(request.id)) == lines
    first = await pair.b.driver.resume(Ref(id=request.id))
    assert (await pair.b.driver.resume(Ref(id=request.id))).pid == first.pid
    await pair.a.driver.discard(Ref(id=request.id))
    await pair.b.driver.settle(Ref(id=request.id))
    await until(lambda: request.id not in pair.b.linux.arrivals._known)
    assert (await pair.b.driver.resume(Ref(id=request.id))).pid == first.pid
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))
    with pytest.raises(AlreadyExists):
        await pair.sent(request, source=pair.b)


async def test_let_run_by_a_platform_that_died_at_once(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.held(request)
    arrival = pair.b.linux.arrivals._known[request.id]
    arrival.record.phase = "resumed"
    arrival.record.write(arrival.folder)
    await pair.b.restart()
    assert (await pair.b.state(request.id)).state == "running"
    await pair.a.driver.discard(Ref(id=request.id))
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))


async def test_what_ends_as_soon_as_it_runs_has_run_here(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its monitor may be gone, and its mounts, before anybody has looked: criu interrupts this sleep."""
    request = await pair.started("sh", "-c", "usleep 1000000000")
    await pair.held(request)
    arrivals = pair.b.linux.arrivals
    beside = arrivals._launcher.beside

    async def late(monitor: int, work: Callable[[], Any]) -> Any:
        await until(lambda: not Path(f"/proc/{monitor}/ns/mnt").exists())
        return await beside(monitor, work)

    monkeypatch.setattr(arrivals._launcher, "beside", late)
    await pair.b.driver.resume(Ref(id=request.id))
    assert await pair.b.code(request.id) == 0
    monkeypatch.undo()
    await pair.b.driver.settle(Ref(id=request.id))
    await pair.b.delete(request.id)
    assert await leftovers(pair.b) == []


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
async def test_abandoned_it_leaves_nothing(pair: Pair, held: bool, restarted: bool) -> None:
    request = await pair.started(*COUNT)
    await (pair.held(request) if held else pair.sent(request))
    assert not pair.b.service.at_rest()
    arrival = pair.b.linux.arrivals._known[request.id]
    monitor, group = arrival.record.monitor, arrival.record.cgroup
    if restarted:
        await pair.b.restart()
    await pair.b.driver.abandon(Ref(id=request.id))
    assert await leftovers(pair.b) == []
    assert not pair.b.linux.cgroups.exists(group)
    assert not Path(arrival.record.log_path).exists()
    await until_gone(monitor)
    await pair.b.driver.abandon(Ref(id=request.id))
    with pytest.raises(NotFound):
        await pair.b.driver.restore(Ref(id=request.id))
    await pair.a.driver.thaw(Ref(id=request.id))
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("early", [False, True])
async def test_what_cannot_be_restored_leaves_nothing(pair: Pair, early: bool) -> None:
    """`early`: whoever lets it go on before anybody has it restored hears why it cannot, and that it has not run."""
    request = await pair.started(*COUNT)
    await pair.sent(request)
    await pair.a.driver.freeze(Ref(id=request.id))
    await pair.a.driver.dump(Ref(id=request.id))
    (pair.b.linux.arrivals._known[request.id].moved / "images" / "pstree.img").write_bytes(b"")
    with pytest.raises(NotFound if early else FailedPrecondition, match="cannot be restored"):
        await (pair.b.driver.resume if early else pair.b.driver.restore)(Ref(id=request.id))
    with pytest.raises(NotFound, match="No such container"):
        await pair.b.driver.resume(Ref(id=request.id))
    assert await leftovers(pair.b) == []
    await pair.a.driver.thaw(Ref(id=request.id))
    numbers = await counted(pair.a, request.id)
    assert numbers == list(range(len(numbers)))


async def test_once_it_runs_it_is_not_abandoned(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    await pair.moved(request)
    other = await pair.started(*COUNT)
    await pair.held(other)
    await pair.b.driver.resume(Ref(id=other.id))
    with pytest.raises(Conflict, match="runs here"):
        await pair.b.driver.abandon(Ref(id=other.id))
    await pair.a.driver.discard(Ref(id=other.id))


async def test_who_places_memory_disturbs_nobody_until_somebody_may_wait_for_it(
    pair: Pair, slow: Callable[[int], None]
) -> None:
    request = await held_without_its_memory(pair, slow)
    source, target = (each._known[request.id].mover for each in (pair.a.linux.departures, pair.b.linux.arrivals))
    assert os.sched_getscheduler(target.pid) == os.SCHED_IDLE
    await pair.b.driver.resume(Ref(id=request.id))
    assert os.sched_getscheduler(target.pid) == os.SCHED_OTHER
    os.kill(source.pid, signal.SIGCONT)


async def test_memory_that_cannot_come_any_more_ends_it(pair: Pair, slow: Callable[[int], None]) -> None:
    """The source's mover dies before it has sent all."""
    request = await held_without_its_memory(pair, slow)
    mover = pair.a.linux.departures._known[request.id].mover
    await pair.b.driver.resume(Ref(id=request.id))
    os.kill(mover.pid, signal.SIGKILL)
    assert await pair.b.code(request.id) == 137
    with pytest.raises(FailedPrecondition, match="was lost"):
        await pair.b.driver.settle(Ref(id=request.id))
    await pair.a.driver.discard(Ref(id=request.id))
    await pair.b.delete(request.id)
    assert await leftovers(pair.b) == []


async def test_a_killed_mover_of_the_target_ends_it_too(pair: Pair, slow: Callable[[int], None]) -> None:
    request = await held_without_its_memory(pair, slow)
    source, target = pair.a.linux.departures._known[request.id].mover, pair.b.linux.arrivals._known[request.id].mover
    await pair.b.driver.resume(Ref(id=request.id))
    os.kill(target.pid, signal.SIGKILL)
    assert await pair.b.code(request.id) == 137
    os.kill(source.pid, signal.SIGCONT)
    await pair.a.driver.discard(Ref(id=request.id))


async def test_held_without_its_memory_it_is_not_here(pair: Pair, slow: Callable[[int], None]) -> None:
    """The target's mover is killed before anybody has let it run: nothing goes on here, and its source may."""
    request = await held_without_its_memory(pair, slow)
    source, target = pair.a.linux.departures._known[request.id].mover, pair.b.linux.arrivals._known[request.id].mover
    assert await pair.b.driver.restore(Ref(id=request.id)) is not None
    os.kill(target.pid, signal.SIGKILL)
    await target.over
    for said in ("ended before it went on", "No such container"):
        with pytest.raises(NotFound, match=said):
            await pair.b.driver.resume(Ref(id=request.id))
    assert await leftovers(pair.b) == []
    os.kill(source.pid, signal.SIGCONT)
    await pair.a.driver.thaw(Ref(id=request.id))
    await pair.a.service.signal(SignalRequest(id=request.id, signal=signal.SIGKILL))
    assert await pair.a.code(request.id) == 137


async def test_a_copy_needs_no_source_once_it_is_dumped(pair: Pair) -> None:
    """All memory is at the target by then, before anybody has it restored there."""
    request = await pair.started(*COUNT)
    await pair.sent(request, "copy")
    await pair.a.driver.freeze(Ref(id=request.id))
    await pair.a.driver.dump(Ref(id=request.id))
    await pair.a.linux.departures._known[request.id].mover.kill()
    await pair.b.driver.resume(Ref(id=request.id))
    await pair.b.driver.settle(Ref(id=request.id))
    await pair.a.driver.discard(Ref(id=request.id))
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_copy_needs_no_mover_once_it_is_held(pair: Pair, restarted: bool) -> None:
    request = await pair.started(*COUNT)
    await pair.held(request, "copy")
    mover = pair.b.linux.arrivals._known[request.id].mover
    os.kill(mover.pid, signal.SIGKILL)
    await mover.over
    if restarted:
        await pair.b.restart()
    await pair.b.driver.restore(Ref(id=request.id))
    await pair.b.driver.resume(Ref(id=request.id))
    await pair.a.driver.discard(Ref(id=request.id))
    numbers = await counted(pair.b, request.id)
    assert numbers == list(range(len(numbers)))
    await pair.b.driver.settle(Ref(id=request.id))


async def test_what_ends_at_the_last_moment_has_ended_here(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the decision there is nobody else who could go on with it."""
    request = await pair.started(*COUNT)
    await pair.held(request)
    arrivals = pair.b.linux.arrivals
    let_run = Arrival.let_run

    def too_late(arrival: Arrival) -> None:
        arrivals._end_all(arrival)
        let_run(arrival)

    monkeypatch.setattr(Arrival, "let_run", too_late)
    await pair.b.driver.resume(Ref(id=request.id))
    assert await pair.b.code(request.id) != 0
    assert (await pair.b.driver.resume(Ref(id=request.id))).pid
    await pair.a.driver.discard(Ref(id=request.id))
    await until(lambda: request.id not in arrivals._known)
    await pair.b.delete(request.id)
    assert await leftovers(pair.b) == []


async def test_refused(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    with pytest.raises(AlreadyExists):
        await pair.a.driver.receive(ReceiveRequest(request=request))
    with pytest.raises(NotFound):
        await pair.b.driver.resume(Ref(id=request.id))
    with pytest.raises(NotFound):
        await pair.b.driver.settle(Ref(id=request.id))
    await pair.sent(request)
    with pytest.raises(NotFound, match="not dumped"):
        await pair.b.driver.resume(Ref(id=request.id))
    with pytest.raises(FailedPrecondition, match="not resumed"):
        await pair.b.driver.settle(Ref(id=request.id))
