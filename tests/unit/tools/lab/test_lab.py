from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import FailedPrecondition
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
