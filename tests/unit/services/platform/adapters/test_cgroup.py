"""Control groups of this host by both versions' files: a hybrid host has a small v2 tree beside v1."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.adapters.cgroup import MOUNT, Cgroups
from services.platform.domain.limits import weight
from shared.errors import InvalidArgument

TREES = [path for path in (MOUNT, MOUNT / "unified") if (path / "cgroup.procs").exists() or path == MOUNT]


@pytest.fixture(params=TREES, ids=lambda path: str(path))
def cgroups(request: pytest.FixtureRequest) -> Cgroups:
    return Cgroups(request.param)


@pytest.fixture
def group(cgroups: Cgroups) -> Iterator[str]:
    """A group of the test's own in every hierarchy."""
    name = f"/shoal-test-{uuid.uuid4().hex[:12]}"
    for root in cgroups._roots:
        (root / name.lstrip("/")).mkdir()
    yield name
    cgroups.remove(name)


@pytest.fixture
def member(cgroups: Cgroups, group: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the group."""
    child = subprocess.Popen(["sleep", "100"])
    for root in cgroups._roots:
        folder = root / group.lstrip("/")
        if "cpuset" in root.name.split(",") and not (folder / "cpuset.cpus").read_text().strip():
            for name in ("cpuset.cpus", "cpuset.mems"):  # v1: a group without processors takes no process
                (folder / name).write_text((root / name).read_text())
        (folder / "cgroup.procs").write_text(str(child.pid))
    yield child
    child.kill()
    child.wait()


def test_processes_are_found_in_groups_below_too(cgroups: Cgroups, group: str, member: subprocess.Popen[bytes]) -> None:
    assert cgroups.processes(group) == [member.pid]
    below = cgroups.directory(group) / "below"
    below.mkdir()
    (below / "cgroup.procs").write_text(str(member.pid))
    assert cgroups.processes(group) == [member.pid]
    assert cgroups.processes("/nosuch") == []


def test_freezing_and_thawing(cgroups: Cgroups, group: str, member: subprocess.Popen[bytes]) -> None:
    assert not cgroups.frozen(group)
    cgroups.freeze(group, True)
    assert cgroups.frozen(group)
    cgroups.freeze(group, False)
    assert not cgroups.frozen(group)
    cgroups.freeze("/nosuch", True)
    assert not cgroups.frozen("/nosuch")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_every_process_is_signalled(
    cgroups: Cgroups, group: str, member: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    cgroups.signal(group, number)
    assert member.wait(60) == -number


def test_removing_ends_what_is_in_it_even_frozen(cgroups: Cgroups, group: str, member: subprocess.Popen[bytes]) -> None:
    (cgroups.directory(group) / "below").mkdir()
    cgroups.freeze(group, True)
    os.waitid(os.P_PID, member.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    cgroups.remove(group)
    assert member.wait(60) == -signal.SIGKILL
    assert not cgroups.directory(group).exists()
    cgroups.remove(group)


def test_usage_files_are_read_as_far_as_there_are_any(cgroups: Cgroups, group: str) -> None:
    found = cgroups.read(group)
    assert all(isinstance(text, str) for text in found.values())
    assert cgroups.v2 or found["pids.current"] == "0\n"
    assert cgroups.read("/nosuch") == {}


def test_the_hosts_controllers(cgroups: Cgroups) -> None:
    names = cgroups.controllers()
    assert names
    assert cgroups.v2 or "memory" in names
    assert isinstance(cgroups.counts_swap(), bool)


def test_a_link_to_a_hierarchy_is_not_another_one(directory: Path) -> None:
    (directory / "cpu,cpuacct").mkdir()
    (directory / "cpu,cpuacct" / "cgroup.clone_children").touch()
    (directory / "cpu").symlink_to("cpu,cpuacct")
    (directory / "file").touch()
    made = Cgroups(directory)
    assert not made.v2
    assert sorted(made.controllers()) == ["cpu", "cpuacct"]


def test_limits_are_set_and_a_failure_takes_them_back(cgroups: Cgroups, group: str) -> None:
    if "pids" not in cgroups.controllers():
        return  # the small tree of a hybrid host: it has no limits to set
    cgroups.prepare(group, ())
    share, refused = ("cpu.weight", "cpu.max") if cgroups.v2 else ("cpu.shares", "cpu.cfs_period_us")
    files = [cgroups.directory(group, "pids") / "pids.max", cgroups.directory(group, "cpu") / share]
    cgroups.limit(group, {"pids": {"limit": 7}, "cpu": {"shares": 512}})
    found = [file.read_text().strip() for file in files]
    assert found == ["7", str(weight(512)) if cgroups.v2 else "512"]
    with pytest.raises(InvalidArgument, match=rf"{re.escape(refused)}: Invalid argument"):
        cgroups.limit(group, {"pids": {"limit": 9}, "cpu": {"shares": 100, "period": 1}})
    assert [file.read_text().strip() for file in files] == found


def test_a_group_gets_the_controllers_that_the_runtime_gives(directory: Path) -> None:
    """By a tree of plain files, as v2's root has them: what is written to them last stays."""
    (directory / "cgroup.controllers").write_text("cpuset rdma\n")
    (directory / "cgroup.subtree_control").touch()
    Cgroups(directory).prepare("/made", ({"allow": True, "access": "rwm"},))
    assert (directory / "made").is_dir()
    assert (directory / "cgroup.subtree_control").read_text() == "+cpuset"


OPENING = """
import os, sys
for members in sys.argv[2:]:
    with open(members, "w") as file:
        file.write("0")
for name, flags in (("zero", os.O_RDONLY), ("zero", os.O_WRONLY), ("null", os.O_RDWR), ("full", os.O_RDONLY)):
    try:
        os.close(os.open(f"/dev/{name}", flags))
        print("opened")
    except PermissionError:
        print("refused")
try:
    os.mknod(sys.argv[1], 0o20600, os.makedev(1, 7))
    print("made")
except PermissionError:
    print("refused")
"""


def test_only_allowed_devices_can_be_opened(cgroups: Cgroups, group: str, tmp_path: Path) -> None:
    rules = (
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"},
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
    )
    cgroups.prepare(group, rules)
    members = [str(folder / "cgroup.procs") for folder in cgroups.folders(group)]
    words = [sys.executable, "-I", "-S", "-c", OPENING, str(tmp_path / "node"), *members]
    told = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.PIPE).stdout.split()
    assert told == ["opened", "refused", "opened", "refused", "made"]


def test_nothing_is_refused_where_all_is_allowed(cgroups: Cgroups, group: str, tmp_path: Path) -> None:
    cgroups.prepare(group, ({"allow": True, "access": "rwm"},))
    members = [str(folder / "cgroup.procs") for folder in cgroups.folders(group)]
    words = [sys.executable, "-I", "-S", "-c", OPENING, str(tmp_path / "node"), *members]
    told = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.PIPE).stdout.split()
    assert told == ["opened"] * 4 + ["made"]
