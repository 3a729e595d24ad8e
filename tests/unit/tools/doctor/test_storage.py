from pathlib import Path

import pytest

from shared.config import Settings
from tools.doctor import storage
from tools.doctor.findings import Level


def test_a_folder_that_does_not_exist_yet_is_judged_by_the_one_above(tmp_path):
    assert storage.existing(tmp_path / "a/b/c") == tmp_path
    found = list(storage.check(Settings(state_dir=str(tmp_path / "state"))))
    assert [finding.level for finding in found if finding.subject == "overlay mounts"] == [Level.OK]
    assert list(tmp_path.iterdir()) == []


def test_overlays_do_not_work_where_files_cannot_be_made():
    assert storage.overlay_problem(Path("/proc"))
    finding = storage.judge_overlay("/proc", "Invalid argument")
    assert finding.level is Level.WRONG
    assert "state_dir" in finding.remedy


@pytest.mark.parametrize(("free", "level"), [(10 << 30, Level.OK), (1 << 30, Level.WARNING), (1 << 20, Level.WRONG)])
def test_space(free, level):
    assert storage.judge_space("/x", free).level is level


def test_inodes():
    assert storage.judge_inodes("/x", 100).level is Level.WARNING
    assert storage.judge_inodes("/x", 10**6).level is Level.OK
