"""The early wait changes nothing but who waits."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from services.platform.adapters.cgroup import MOUNT
from services.platform.adapters.grace import Grace, own

OWN = Path("/proc/self/cgroup")


def test_files_of_this_processs_groups(tmp_path: Path) -> None:
    """Of version 1 only, where they are mounted."""
    for name in ("cpu,cpuacct/a/b", "systemd"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cgroup.procs").touch()
    membership = "3:cpu,cpuacct:/a/b\n2:name=systemd:/\n1:memory:/a/b\n0::/a/b\n"
    assert own(tmp_path, membership) == [tmp_path / "cpu,cpuacct/a/b/cgroup.procs", tmp_path / "systemd/cgroup.procs"]
    assert own(tmp_path, "0::/user.slice\n") == []


async def test_the_process_stays_where_it_is() -> None:
    before = OWN.read_text()
    made = Grace(MOUNT)
    made.begin()
    made.close()
    assert OWN.read_text() == before


async def test_one_wait_serves_all(tmp_path: Path) -> None:
    """A file that takes its time: a fifo."""
    (tmp_path / "pids").mkdir()
    os.mkfifo(tmp_path / "pids/cgroup.procs")
    membership = tmp_path / "membership"
    membership.write_text("1:pids:/\n")
    made = Grace(tmp_path, membership)
    for _ in range(3):
        made.begin()
        await asyncio.sleep(0)
    heard = await asyncio.to_thread((tmp_path / "pids/cgroup.procs").read_bytes)
    assert heard == str(os.getpid()).encode()
    made.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("grace")]


async def test_a_group_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "pids/cgroup.procs").mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("1:pids:/\n")
    made = Grace(tmp_path, membership)
    made.begin()
    assert made._waiting is not None
    await made._waiting
    made.close()
