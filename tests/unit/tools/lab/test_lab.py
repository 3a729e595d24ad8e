import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import FailedPrecondition
from tools.lab import switch
from tools.lab.lab import CGROUPS, Lab, remove_cgroups


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    if (tmp_path / "lab").exists():
        Lab.found(tmp_path / "lab").down()


def test_a_lab_is_found_again(folder: Path) -> None:
    pids = [Lab.up(folder, 2).host(number).pid for number in (1, 2)]
    again = Lab.up(folder, 2)
    assert [Lab.found(folder).host(number).pid for number in again.plan.numbers] == pids
    with pytest.raises(FailedPrecondition, match="has 2 hosts, not 3; first: shoal lab down"):
        Lab.up(folder, 3)
    again.down()
    assert not folder.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}/ns/pid").exists()]


def test_no_lab(folder: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"no lab in .*; make one with"):
        Lab.found(folder)


def test_control_groups_of_a_killed_host_are_removed() -> None:
    groups = [each / "shoal-test-lab" / "below" for each in (CGROUPS / "memory", CGROUPS) if each.is_dir()][:1]
    for group in groups:
        group.mkdir(parents=True)
    remove_cgroups("shoal-test-lab")
    assert groups
    assert not [group for group in groups if group.parent.exists()]


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_host_with_something_frozen_can_be_killed(folder: Path, interrupted: bool) -> None:
    """As containers are while they move: on v1 what is frozen does not end, and the host waited for it for ever."""
    lab = Lab.up(folder, 1)
    freezer = CGROUPS / "freezer"
    group = (freezer if freezer.is_dir() else CGROUPS) / lab.plan.cgroup(1) / "moving"
    group.mkdir(parents=True)
    program = subprocess.Popen(lab.host(1).command(["sh", "-c", "echo; exec sleep 1000"]), stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    pid = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()[0]
    (group / "cgroup.procs").write_text(pid)
    if freezer.is_dir():
        (group / "freezer.state").write_text("FROZEN")
    else:
        (group / "cgroup.freeze").write_text("1")
    if interrupted:
        switch.unplug(lab._switch.network, 1)
    killing = threading.Thread(target=lab.kill, args=(1,), daemon=True)
    killing.start()
    killing.join(60)
    assert not killing.is_alive()
    assert program.wait(60) != 0
    assert not group.parent.exists()
