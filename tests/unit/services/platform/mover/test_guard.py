"""When the mover is killed, its processes end before anybody lets go of their userfaultfds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from services.platform.adapters.cgroup import Cgroups
from services.platform.mover.guard import Group, Guard

BUSY = "import time\nwhile True:\n time.sleep(0.001)"


def config(groups: Cgroups, group: str) -> dict[str, object]:
    words = ("1", "0") if groups.v2 else ("FROZEN", "THAWED")
    folder = groups.directory(group, "freezer")
    return {
        "freezer": str(folder / ("cgroup.freeze" if groups.v2 else "freezer.state")),
        "frozen": words[0],
        "thawed": words[1],
        "members": str(folder / "cgroup.procs"),
        "v2": groups.v2,
    }


@pytest.fixture
def group() -> Iterator[str]:
    groups, name = Cgroups(), f"/shoal-test-mover-{os.getpid()}"
    groups.prepare(name, ())
    yield name
    groups.remove(name)


@pytest.fixture
def member(group: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    for folder in Cgroups().folders(group):
        (folder / "cgroup.procs").write_text(str(process.pid))
    yield process
    process.kill()
    process.wait()


def test_all_processes_of_a_group_end(group: str, member: subprocess.Popen[bytes]) -> None:
    ending = Group(config(Cgroups(), group))
    ending.end()
    assert member.wait(10) == -9
    assert Cgroups().processes(group) == []
    assert not Cgroups().frozen(group)
    ending.close()


def test_a_group_made_anew_under_its_name_is_another(group: str, member: subprocess.Popen[bytes]) -> None:
    groups = Cgroups()
    older = f"{group}-older"
    groups.prepare(older, ())
    ending = Group(config(groups, older))
    groups.remove(older)
    groups.prepare(older, ())
    for folder in groups.folders(older):
        (folder / "cgroup.procs").write_text(str(member.pid))
    ending.end()
    assert member.poll() is None
    ending.close()
    member.kill()
    member.wait()
    groups.remove(older)


def test_a_connection_is_held_until_its_other_end_is_closed(group: str, member: subprocess.Popen[bytes]) -> None:
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        guard = Guard(config(Cgroups(), group))
        guard.keep(write)
        guard.dismiss(theirs)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    theirs.close()
    os.close(write)
    assert os.read(read, 1) == b""  # what it has kept is closed
    ours.sendall(b"run")
    assert member.poll() is None
    ours.close()
    os.close(read)


def mover(group: str, ended: str) -> int:
    """How a process has ended that has a guard."""
    pid = os.fork()
    if not pid:
        guard = Guard(config(Cgroups(), group))
        reader, _ = os.pipe()
        guard.keep(reader)
        if ended == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        guard.dismiss()
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def test_a_mover_that_is_killed_takes_its_processes_with_it(group: str, member: subprocess.Popen[bytes]) -> None:
    assert mover(group, "killed") == 9
    assert member.wait(30) == -9


def test_one_that_is_done_does_not(group: str, member: subprocess.Popen[bytes]) -> None:
    assert mover(group, "done") == 0
    assert member.poll() is None
