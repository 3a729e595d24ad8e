"""The life of a container: made, started, ended, removed, found again."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from services.platform.adapters import process
from shared.contracts.common import Ref
from shared.contracts.container import Resources
from shared.contracts.platform import Isolation
from shared.errors import AlreadyExists, Conflict, InvalidArgument
from tests.support.platform_host import Host, until


def traces(host: Host, name: str) -> list[Path]:
    """Everything on the host that has the container's name."""
    run = Path(host.settings.run_dir) / "platform"
    places = [run / part / name for part in ("workloads", "roots", "shm", "runtime/crun")]
    places += Path("/sys/fs/cgroup").glob(f"*/{host.settings.cgroup_parent}/{name}")
    places += [host.linux.cgroups.directory(f"/{host.settings.cgroup_parent}/{name}")]
    return [place for place in places if place.exists()]


def ended(pid: int) -> bool:
    """Whether a process is gone, or is a zombie until its new parent looks after it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_container_runs_and_leaves_nothing(host: Host) -> None:
    name = await host.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert await host.code(name) == 3
    assert sorted(await host.logs(name)) == [(1, b"out\n"), (2, b"err\n")]
    state = await host.state(name)
    assert (state.state, state.exit_code, state.oom_killed) == ("stopped", 3, False)
    assert state.started_at <= state.exited_at
    await host.delete(name)
    assert traces(host, name) == []
    assert not Path(state.log_path).exists()


async def test_its_root_is_mounted_nowhere_on_the_host(host: Host) -> None:
    name = await host.run("sleep", "100")
    assert name not in Path("/proc/self/mountinfo").read_text()
    assert traces(host, name)


async def test_its_log_stays_until_it_is_removed_for_good(host: Host) -> None:
    name = await host.run("echo", "one")
    await host.exited(name)
    await host.delete(name, logs=False)
    assert await host.logs(name) == [(1, b"one\n")]
    host.exits[name] = asyncio.get_running_loop().create_future()
    await host.run("echo", "two", name=name)
    await host.exited(name)
    assert await host.logs(name) == [(1, b"one\n"), (1, b"two\n")]
    await host.delete(name)
    assert await host.logs(name) == []


async def test_it_waits_to_be_started(host: Host) -> None:
    request = host.request("sleep", "100")
    made = await host.service.create(request)
    assert (await host.state(request.id)).state == "created"
    assert os.path.exists(f"/proc/{made.pid}")
    await host.delete(request.id)
    assert not os.path.exists(f"/proc/{made.pid}")
    assert traces(host, request.id) == []


async def test_one_call_makes_and_starts(host: Host) -> None:
    request = host.request("true", start=True)
    assert (await host.service.create(request)).started_at > 0
    assert await host.code(request.id) == 0


async def test_a_failure_leaves_nothing(host: Host) -> None:
    request = host.request("nosuch")
    with pytest.raises(InvalidArgument, match='exec: "nosuch": executable file not found in \\$PATH: unknown'):
        await host.service.create(request)
    assert traces(host, request.id) == []
    with pytest.raises(InvalidArgument, match="unable to find user bob"):
        await host.service.create(host.request("true", process_user="bob"))
    assert traces(host, host.made[-1]) == []


async def test_a_name_is_taken_once(host: Host) -> None:
    request = host.request("sleep", "100")
    first = asyncio.ensure_future(host.service.create(request))
    await asyncio.sleep(0)
    with pytest.raises(AlreadyExists):
        await host.service.create(request)
    with pytest.raises(Conflict, match="is being made"):
        await host.delete(request.id)
    await first
    with pytest.raises(AlreadyExists):
        await host.service.create(request)


async def test_what_runs_is_neither_started_nor_removed(host: Host) -> None:
    name = await host.run("sleep", "100")
    with pytest.raises(Conflict):
        await host.service.start(Ref(id=name))
    with pytest.raises(Conflict):
        await host.delete(name)


async def test_removing_what_is_not_there_is_no_error(host: Host) -> None:
    await host.delete("nosuch")
    assert traces(host, "nosuch") == []


async def test_a_caller_that_goes_away_leaves_nothing(host: Host) -> None:
    request = host.request("sleep", "100")
    making = asyncio.ensure_future(host.service.create(request))
    await asyncio.sleep(0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await host.stop()
    assert traces(host, request.id) == []
    await host.restart()


async def test_processes_that_outlive_the_first_are_ended(host: Host) -> None:
    name = await host.run("sh", "-c", "sleep 1000 & exit 0", isolation=Isolation(pid="host"))
    assert await host.code(name) == 0
    left = host.linux.cgroups.processes(f"/{host.settings.cgroup_parent}/{name}")
    assert left
    await host.delete(name)
    assert traces(host, name) == []
    assert all(ended(pid) for pid in left)


async def test_another_cgroup_parent_is_used_and_not_left(host: Host) -> None:
    parent = f"{host.settings.cgroup_parent}/../deep/er"
    name = await host.run("sleep", "100", resources=Resources(cgroup_parent=parent))
    record = host.linux.workloads.get(name).record
    assert record.cgroup == f"/{host.settings.cgroup_parent}/deep/er/{name}"
    assert host.linux.cgroups.processes(record.cgroup) == [record.pid]


async def test_shared_memory_is_shared(host: Host) -> None:
    first = await host.run("sh", "-c", "echo hi > /dev/shm/x; sleep 100", isolation=Isolation(ipc="shareable"))
    pid = (await host.state(first)).pid
    await until(lambda: os.path.exists(f"/proc/{pid}/root/dev/shm/x"))
    assert await host.output("cat", "/dev/shm/x", isolation=Isolation(ipc=f"/proc/{pid}/ns/ipc")) == b"hi\n"
    os.kill(pid, signal.SIGKILL)
    await host.exited(first)
    await host.delete(first)
    assert traces(host, first) == []


async def test_a_successor_finds_everything(host: Host) -> None:
    runs = await host.run("sh", "-c", "echo begun; read go; echo done; exit 5", process_stdin=True)
    ended = await host.run("sh", "-c", "exit 4")
    waits = host.request("echo", "late")
    await host.service.create(waits)
    await host.exited(ended)
    await host.restart()
    assert (await host.state(ended)).exit_code == 4
    assert (await host.state(runs)).state == "running"
    assert (await host.state(waits.id)).state == "created"
    await host.service.start(Ref(id=waits.id))
    assert await host.code(waits.id) == 0
    await (await host.attach(runs, stdin=True)).write(b"go\n")
    assert await host.code(runs) == 5
    assert await host.logs(runs) == [(1, b"begun\n"), (1, b"done\n")]


async def test_an_end_that_nobody_saw_is_told_by_the_successor(host: Host) -> None:
    name = await host.run("sh", "-c", "sleep 0.1; exit 6")
    monitor = host.linux.workloads.get(name).record.monitor
    await host.stop()
    await until(lambda: ended(monitor))
    process.reap(monitor)
    await host.restart()
    assert (await host.state(name)).exit_code == 6
    assert await host.code(name) == 6


async def test_paused_stays_paused(host: Host) -> None:
    name = await host.run("sleep", "100")
    await host.service.pause(Ref(id=name))
    await host.restart()
    assert (await host.state(name)).state == "paused"


async def test_half_made_containers_are_removed(host: Host) -> None:
    request = host.request("sleep", "100")
    made = await host.service.create(request)
    (Path(host.settings.run_dir) / "platform/workloads" / request.id / "record.json").unlink()
    await host.restart()
    assert traces(host, request.id) == []
    assert ended(made.pid)
    assert not [pid for pid in process.with_argument(request.id) if not ended(pid)]


async def test_half_made_execs_are_ended(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, _ = await host.exec(name, "sleep", "200", attach=False)
    running = host.linux.workloads.get(name).execs[exec_id]
    (running.folder / "record.json").unlink()
    await host.restart()
    assert not running.folder.exists()
    await until(lambda: ended(running.record.pid) and ended(running.record.monitor))
    assert (await host.state(name)).state == "running"


async def test_a_killed_monitor_does_not_end_its_container(host: Host) -> None:
    name = await host.run("sleep", "100")
    record = host.linux.workloads.get(name).record
    os.kill(record.monitor, signal.SIGKILL)
    await until(lambda: not host.linux.workloads.get(name).monitored)
    assert (await host.state(name)).state == "running"
    assert await host.ran(name, "echo", "alive") == (0, b"alive\n")
    os.kill(record.pid, signal.SIGKILL)
    assert (await host.exited(name)).exit_code == 255
    await host.delete(name)
    assert traces(host, name) == []
