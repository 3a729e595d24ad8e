"""Execs by the shim beside those by the runtime: one must be confined as the other is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.platform.adapters import execs
from services.platform.adapters.shim_exec import ShimExec
from shared.contracts.container import Resources, Ulimit
from shared.contracts.platform import Isolation, SignalRequest
from shared.errors import Conflict, InvalidArgument
from tests.support.platform_host import Host, everything, until

FACTS = r"""
id; pwd; umask; ulimit -a; env | sort; cat /proc/self/oom_score_adj /proc/self/cgroup
grep -E 'Cap|NoNew|Seccomp|Sig(Blk|Ign)|Cpus_allowed_list|Mems_allowed_list' /proc/self/status
for kind in mnt pid net ipc uts cgroup user time; do ls -l /proc/self/ns/$kind | sed 's/.*-> //'; done
ls /proc/self/fd; cut -d' ' -f7 /proc/self/stat; cat /proc/self/mounts | wc -l; ls -ld /proc/self/fd/ | cut -c1-10
"""
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "as a user": ({}, {"user": "alice", "group_add": ("staff",), "cwd": "/home/alice"}),
    "by number": ({"process_user": "1234:55"}, {"user": "77:88"}),
    "no capabilities": ({"process_cap_drop": ("ALL",), "process_no_new_privileges": True}, {}),
    "no new privileges for a user": ({"process_no_new_privileges": True}, {"user": "alice"}),
    "privileged container": ({"process_privileged": True}, {"privileged": True}),
    "privileged exec": ({}, {"privileged": True, "user": "alice"}),
    "unconfined": ({"seccomp": "unconfined"}, {}),
    "limits": (
        {"process_oom_score_adj": 300, "resources": Resources(ulimits=(Ulimit(name="nofile", soft=64, hard=128),))},
        {"env": ("PATH=/bin", "HOME=/elsewhere", "EMPTY=")},
    ),
    "the host's namespaces": ({"isolation": Isolation(network="host", pid="host", ipc="host", uts="host")}, {}),
    "private cgroup": ({"isolation": Isolation(cgroup="private")}, {}),
}


@contextmanager
def by_runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(execs, "can_be_joined", lambda config: False)
        yield


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
async def test_an_exec_is_confined_as_the_runtime_confines_it(
    host: Host, name: str, tty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_container, of_exec = SETTINGS[name]
    container = await host.run("sleep", "100", **of_container)
    with by_runtime(monkeypatch):
        expected = await host.ran(container, "sh", "-c", FACTS, tty=tty, **of_exec)
    ours = await host.ran(container, "sh", "-c", FACTS, tty=tty, **of_exec)
    assert expected[0] == 0
    assert expected[1].count(b"\n") > 30
    if of_container.get("process_oom_score_adj"):
        expected = (0, expected[1].replace(b"\n0\n", b"\n300\n", 1).replace(b"\r\n0\r\n", b"\r\n300\r\n", 1))
    assert ours[1].decode() == expected[1].decode()


async def test_which_way_an_exec_takes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    container = await host.run("sleep", "100")
    exec_id, _ = await host.exec(container, "sleep", "100", attach=False)
    assert isinstance(host.linux.workloads.get(container).execs[exec_id], ShimExec)
    with by_runtime(monkeypatch):
        exec_id, _ = await host.exec(container, "sleep", "100", attach=False)
        assert not isinstance(host.linux.workloads.get(container).execs[exec_id], ShimExec)


async def test_a_filter_whose_file_is_lost_is_left_to_the_runtime(host: Host) -> None:
    container = await host.run("sleep", "100")
    next(Path(host.settings.run_dir).glob(f"platform/runtime/*/{container}/seccomp.bpf")).unlink()
    exec_id, channel = await host.exec(container, "grep", "Seccomp:", "/proc/self/status")
    assert channel is not None
    assert not isinstance(host.linux.workloads.get(container).execs[exec_id], ShimExec)


async def test_a_failed_exec_leaves_nothing(host: Host) -> None:
    name = await host.run("sleep", "100")
    with pytest.raises(InvalidArgument):
        await host.exec(name, "nosuch")
    with pytest.raises(InvalidArgument):
        await host.exec(name, "true", user="bob")
    assert list((Path(host.settings.run_dir) / "platform/execs").iterdir()) == []
    record = host.linux.workloads.get(name).record
    assert host.linux.cgroups.processes(record.cgroup) == [record.pid]


async def test_many_execs_leave_no_descriptor(host: Host) -> None:
    name = await host.run("sleep", "100")
    await host.ran(name, "true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await host.ran(name, "true", stdin=True)
        await host.ran(name, "true", tty=True)
        for running in list(host.linux.workloads.get(name).execs):
            host.linux.workloads.forget_exec(running)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    assert not host.linux.workloads.get(name).execs


async def test_an_exec_of_what_has_just_ended(host: Host) -> None:
    name = await host.run("sleep", "100")
    workload = host.linux.workloads.get(name)
    os.kill(workload.record.pid, signal.SIGKILL)
    with pytest.raises(Conflict, match=f"{name} is not running"):
        await _until_refused(host, name)


async def _until_refused(host: Host, name: str) -> None:
    while True:
        await host.ran(name, "true")


async def test_a_killed_shim_loses_the_code_and_nothing_else(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "sh", "-c", "read x; echo got $x", stdin=True)
    assert channel is not None
    running = host.linux.workloads.get(name).execs[exec_id]
    os.kill(running.record.monitor, signal.SIGKILL)
    await channel.write(b"it\n")
    await channel.write_eof()
    assert b"got it" in await everything(channel)
    assert await host.code(exec_id) == 255
    assert await host.ran(name, "echo", "on") == (0, b"on\n")


async def test_an_attached_exec_outlives_the_platform(host: Host) -> None:
    name = await host.run("sleep", "100")
    script = "head -c 300000 /dev/zero; sleep 0.2; head -c 300000 /dev/zero; exit 9"
    exec_id, _ = await host.exec(name, "sh", "-c", script)
    await host.restart()
    assert await host.code(exec_id) == 9


async def test_a_signal_reaches_the_exec(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, _ = await host.exec(name, "sleep", "100", attach=False)
    await host.service.signal(SignalRequest(id=name, exec_id=exec_id, signal=9))
    assert await host.code(exec_id) == 137


async def test_output_of_a_detached_terminal_does_not_hold_it_up(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "head", "-c", "1000000", "/dev/zero", tty=True, attach=False)
    assert channel is None
    assert await host.code(exec_id) == 0


async def test_execs_of_several_containers_at_once(host: Host) -> None:
    names = await asyncio.gather(*(host.run("sleep", "100") for _ in range(3)))
    runs = [
        host.ran(name, "sh", "-c", "echo $HOSTNAME; cat /etc/hostname 2>/dev/null; hostname", env=("PATH=/bin",))
        for name in names
        for _ in range(5)
    ]
    assert all(code in (0, 127) for code, _ in await asyncio.gather(*runs))
