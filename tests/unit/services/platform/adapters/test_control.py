"""What is done to running containers."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.base import Empty
from shared.contracts.common import Ref
from shared.contracts.container import Resources
from shared.contracts.executor import ResizeRequest, TopRequest
from shared.contracts.platform import (
    ExecRequest,
    ForgetRequest,
    Isolation,
    Process,
    SignalRequest,
    StatsRequest,
    UpdateRequest,
)
from shared.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from tests.support.platform_host import Host, everything, until

LOOP = ("sh", "-c", "trap 'exit 33' USR1; while :; do sleep 0.05; done")


async def test_signals_reach_the_first_process(host: Host) -> None:
    name = await host.run(*LOOP)
    await asyncio.sleep(0.05)  # until its trap is set
    await host.service.signal(SignalRequest(id=name, signal=signal.SIGUSR1))
    assert await host.code(name) == 33
    with pytest.raises(Conflict, match="is not running"):
        await host.service.signal(SignalRequest(id=name, signal=9))


async def test_signals_reach_all(host: Host) -> None:
    name = await host.run("sh", "-c", "sleep 1000 & wait", isolation=Isolation(pid="host"))
    group = host.linux.workloads.get(name).record.cgroup
    await until(lambda: len(host.linux.cgroups.processes(group)) == 2)
    await host.service.signal(SignalRequest(id=name, signal=9, all=True))
    assert await host.code(name) == 137
    await until(lambda: not host.linux.cgroups.processes(group))


async def test_nobody_is_signalled_by_an_unknown_name(host: Host) -> None:
    with pytest.raises(NotFound, match="No such container: nope"):
        await host.service.signal(SignalRequest(id="nope", signal=9))


async def test_a_signal_to_an_exec_ends_it_alone(host: Host) -> None:
    name = await host.run("sleep", "1000")
    request = ExecRequest(id=name, exec_id="e", process=Process(args=("sleep", "1000")), attach=False)
    await host.service.exec(request)
    await host.service.signal(SignalRequest(id=name, exec_id="e", signal=9))
    await until(lambda: host.linux.workloads.get(name).execs["e"].ended.done())
    assert (await host.state(name)).state == "running"
    with pytest.raises(NotFound, match="No such exec instance: nope"):
        await host.service.signal(SignalRequest(id=name, exec_id="nope", signal=9))


async def test_pausing_holds_it_and_resuming_goes_on(host: Host) -> None:
    name = await host.run(*LOOP)
    await host.service.pause(Ref(id=name))
    assert (await host.state(name)).state == "paused"
    assert host.linux.cgroups.frozen(host.linux.workloads.get(name).record.cgroup)
    with pytest.raises(Conflict, match="already paused"):
        await host.service.pause(Ref(id=name))
    with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
        await host.ran(name, "true")
    await host.service.unpause(Ref(id=name))
    assert (await host.state(name)).state == "running"
    with pytest.raises(Conflict, match="is not paused"):
        await host.service.unpause(Ref(id=name))


async def test_an_exec_has_its_own_streams_and_code(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert channel is not None
    assert await everything(channel) == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"
    listed = (await host.service.list(Empty())).execs  # who sees the end of the stream may ask for the code
    assert [(e.exec_id, e.container_id, e.exit_code) for e in listed] == [(exec_id, name, 9)]
    assert await host.code(exec_id) == 9
    await host.service.exec_forget(ForgetRequest(ids=(exec_id,)))
    assert (await host.service.list(Empty())).execs == ()


async def test_its_stream_ends_only_when_its_end_was_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    told = asyncio.Event()

    async def flush() -> None:
        await told.wait()

    monkeypatch.setattr(host.kernel.bus.transport, "flush", flush)
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "sh", "-c", "exit 3")
    assert channel is not None
    reading = asyncio.ensure_future(everything(channel))
    assert await host.code(exec_id) == 3
    assert not reading.done()
    told.set()
    assert await reading == b""


async def test_an_exec_takes_input_to_its_end(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "md5sum", stdin=True)
    assert channel is not None
    for _ in range(32):
        await channel.write(bytes(1 << 20))
    await channel.write_eof()
    assert b"58f06dd588d8ffb3beb46ada6309436b" in await everything(channel)  # md5 of 32 MiB of zeros
    assert await host.code(exec_id) == 0


async def test_an_exec_may_have_a_terminal_and_a_user(host: Host) -> None:
    name = await host.run("sleep", "100")
    code, output = await host.ran(
        name, "sh", "-c", "tty; sleep 0.1; stty size; id -un", tty=True, user="alice", console_size=(33, 44)
    )
    assert (code, output) == (0, b"/dev/pts/0\r\n33 44\r\nalice\r\n")


async def test_a_detached_exec_is_told_when_it_ends(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "sh", "-c", "exit 2", attach=False)
    assert channel is None
    assert (await host.exited(exec_id)).id == name
    assert await host.code(exec_id) == 2


async def test_an_exec_is_confined_like_its_container(host: Host) -> None:
    name = await host.run("sleep", "100", process_cap_drop=("ALL",), process_no_new_privileges=True)
    _, output = await host.ran(name, "grep", "-E", "CapBnd|Seccomp:|NoNewPrivs", "/proc/self/status")
    assert output == b"CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"


@pytest.mark.parametrize(
    ("args", "fields", "text"),
    [
        (("nosuch",), {}, 'exec: "nosuch": executable file not found in $PATH: unknown'),
        (("/etc/not-executable",), {}, 'exec: "/etc/not-executable": permission denied: unknown'),
        (
            ("true",),
            {"cwd": "/nope"},
            'chdir to cwd ("/nope") set in config.json failed: no such file or directory',
        ),
        (("true",), {"user": "bob"}, "unable to find user bob: no matching entries in passwd file"),
    ],
)
async def test_an_exec_that_cannot_be(host: Host, args: tuple[str, ...], fields: dict[str, Any], text: str) -> None:
    name = await host.run("sleep", "100")
    with pytest.raises(InvalidArgument) as caught:
        await host.exec(name, *args, **fields)
    assert text in caught.value.message
    assert not host.linux.workloads.get(name).execs


async def test_an_exec_id_is_taken_once(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, _ = await host.exec(name, "sleep", "100", attach=False)
    with pytest.raises(AlreadyExists):
        await host.service.exec(ExecRequest(id=name, exec_id=exec_id, process=Process(args=("true",))))


async def test_an_exec_outlives_the_platform(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, _ = await host.exec(name, "sh", "-c", "sleep 0.2; exit 8", attach=False)
    await host.restart()
    assert await host.code(exec_id) == 8


async def test_execs_end_with_their_container(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, _ = await host.exec(name, "sleep", "100", attach=False)
    await host.service.signal(SignalRequest(id=name, signal=9))
    assert await host.code(name) == 137
    await host.delete(name)
    assert await host.code(exec_id) == 137
    assert not host.linux.execs.folder(exec_id).exists()


async def test_terminals_are_resized(host: Host) -> None:
    script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    name = await host.run("sh", "-c", script, process_tty=True)
    channel = await host.attach(name, logs=True)
    assert b"ready" in await channel.read()
    await host.service.resize(ResizeRequest(id=name, height=20, width=70))
    assert b"20 70\r\n" in await everything(channel)
    with pytest.raises(Conflict):
        await host.service.resize(ResizeRequest(id=name, height=1, width=1))
    other = await host.run("sleep", "9")
    with pytest.raises(NotFound, match="No such exec instance: x"):
        await host.service.resize(ResizeRequest(id=other, exec_id="x", height=1, width=1))


async def test_top_lists_the_containers_processes(host: Host) -> None:
    name = await host.run("sleep", "77")
    line = Path(f"/proc/{host.linux.workloads.get(name).record.pid}/cmdline")
    await until(lambda: line.read_bytes() == b"sleep\x0077\0")  # a start is answered before the program is there
    told = await host.service.top(TopRequest(id=name, ps_args="-o pid,args"))
    assert told.titles == ("PID", "COMMAND")
    assert all(row[1] == "sleep 77" for row in told.processes)
    told = await host.service.top(TopRequest(id=name))
    assert [row[-1] for row in told.processes] == ["sleep 77"]
    with pytest.raises(InvalidArgument, match="ps: error"):
        await host.service.top(TopRequest(id=name, ps_args="--nope"))


async def test_limits_are_changed_live(host: Host) -> None:
    name = await host.run("sleep", "100")
    await host.service.update(UpdateRequest(id=name, resources=Resources(memory=64 << 20, pids_limit=9)))
    raw = await host.usage(name)
    assert raw["memory_stats"]["limit"] == 64 << 20
    assert raw["pids_stats"] == {"current": 1, "limit": 9}
    await host.service.update(UpdateRequest(id=name, resources=Resources(memory=256 << 20, pids_limit=0)))
    raw = await host.usage(name)
    assert raw["memory_stats"]["limit"] == 256 << 20  # more than memory and swap together were allowed before
    assert raw["pids_stats"] == {"current": 1}


async def test_a_limit_that_the_kernel_refuses_changes_nothing(host: Host) -> None:
    name = await host.run("sleep", "100")
    before = await host.usage(name)
    with pytest.raises(InvalidArgument, match=r"cpuset\.cpus"):
        await host.service.update(UpdateRequest(id=name, resources=Resources(memory=64 << 20, cpuset_cpus="4000")))
    assert (await host.usage(name))["memory_stats"]["limit"] == before["memory_stats"]["limit"]


async def test_limits_of_what_has_ended(host: Host) -> None:
    name = await host.run("true")
    await host.code(name)
    with pytest.raises(Conflict, match="is not running"):
        await host.service.update(UpdateRequest(id=name, resources=Resources(pids_limit=9)))


async def test_figures_are_of_this_container(host: Host) -> None:
    name = await host.run("sleep", "100")
    raw = await host.usage(name)
    assert raw["pids_stats"]["current"] == 1
    assert 0 < raw["memory_stats"]["usage"] < 64 << 20
    assert 0 < raw["cpu_stats"]["cpu_usage"]["total_usage"] < raw["cpu_stats"]["system_cpu_usage"]
    assert "networks" not in raw  # it has the host's


async def test_figures_of_what_runs_only(host: Host) -> None:
    running, ended = await host.run("sleep", "100"), await host.run("true")
    await host.code(ended)
    assert set((await host.service.stats(StatsRequest(ids=(running, ended, "nope")))).samples) == {running}
