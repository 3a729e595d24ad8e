"""What an exec leaves when it cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import InvalidArgument
from tests.support.platform_host import Host


async def test_a_failed_exec_leaves_nothing(host: Host) -> None:
    name = await host.run("sleep", "100")
    with pytest.raises(InvalidArgument):
        await host.exec(name, "nosuch")
    with pytest.raises(InvalidArgument):
        await host.exec(name, "true", user="bob")
    assert list((Path(host.settings.run_dir) / "platform/execs").iterdir()) == []
    record = host.linux.workloads.get(name).record
    assert host.linux.cgroups.processes(record.cgroup) == [record.pid]


async def test_an_exec_starts_from_its_containers_process(host: Host) -> None:
    name = await host.run("sleep", "100", process_oom_score_adj=300)
    exec_id, _ = await host.exec(name, "sleep", "100", attach=False)
    folder = host.linux.control._executor.folder(exec_id)
    spec = json.loads((folder / "process.json").read_text())
    assert spec["args"] == ["sleep", "100"]
    assert spec["oomScoreAdj"] == 300
    record = json.loads((folder / "record.json").read_text())
    assert (record["id"], record["exec_id"]) == (name, exec_id)


async def test_users_are_looked_up_in_the_containers_root(host: Host) -> None:
    name = await host.run("sh", "-c", "echo carol:x:77:88::/c:/bin/sh >> /etc/passwd; echo ok; sleep 100")
    await host.logged(name, 1)
    assert await host.ran(name, "sh", "-c", "id -u; id -g", user="carol") == (0, b"77\n88\n")
