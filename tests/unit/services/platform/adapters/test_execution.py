"""Execs by a monitor and the runtime: what is left of them, and what they start from."""

from __future__ import annotations

import json

import pytest

from services.platform.adapters import execs
from shared.errors import InvalidArgument
from tests.support.platform_host import Host, everything


@pytest.fixture(autouse=True)
def by_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execs, "can_be_joined", lambda config: False)


async def test_a_failed_exec_leaves_nothing(host: Host) -> None:
    name = await host.run("sleep", "100")
    with pytest.raises(InvalidArgument, match=r'exec: "nosuch": executable file not found in \$PATH'):
        await host.exec(name, "nosuch")
    assert list(host.linux.execs.folder("x").parent.iterdir()) == []
    record = host.linux.workloads.get(name).record
    assert host.linux.cgroups.processes(record.cgroup) == [record.pid]


async def test_an_exec_starts_from_its_containers_process(host: Host) -> None:
    name = await host.run("sleep", "100", process_oom_score_adj=300)
    exec_id, _ = await host.exec(name, "sleep", "100", attach=False)
    folder = host.linux.execs.folder(exec_id)
    spec = json.loads((folder / "process.json").read_text())
    assert spec["args"] == ["sleep", "100"]
    assert spec["oomScoreAdj"] == 300
    record = json.loads((folder / "record.json").read_text())
    assert (record["id"], record["exec_id"]) == (name, exec_id)


async def test_its_streams_and_code(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, channel = await host.exec(name, "sh", "-c", "cat; echo err >&2; exit 9", stdin=True)
    assert channel is not None
    await channel.write(b"in\n")
    await channel.write_eof()
    assert await everything(channel) == b"\1\0\0\0\0\0\0\3in\n\2\0\0\0\0\0\0\4err\n"
    assert await host.code(exec_id) == 9


async def test_it_outlives_the_platform(host: Host) -> None:
    name = await host.run("sleep", "100")
    exec_id, _ = await host.exec(name, "sh", "-c", "sleep 0.2; exit 8", attach=False)
    await host.restart()
    assert await host.code(exec_id) == 8


async def test_users_are_looked_up_in_the_containers_root(host: Host) -> None:
    name = await host.run("sh", "-c", "echo carol:x:77:88::/c:/bin/sh >> /etc/passwd; echo ok; sleep 100")
    await host.logged(name, 1)
    assert await host.ran(name, "sh", "-c", "id -u; id -g", user="carol") == (0, b"77\n88\n")
