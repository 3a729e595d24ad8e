"""On a hybrid host: the tests of what control groups v2 do otherwise, on a host that has only these."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pure_v2 import command

HERE = Path(__file__).parents[3] / "unit/services/platform/adapters"
CHOSEN = (
    "test_cgroup.py",
    "test_images.py::test_it_goes_on_where_it_was",
    "test_images.py::test_all_processes_are_in_their_groups_again",
    "test_images.py::test_it_is_confined_as_before",
    "test_arrivals.py::test_it_is_confined_as_before",
    "test_control.py::test_pausing_holds_it_and_resuming_goes_on",
    "test_control.py::test_signals_reach_all",
    "test_execs.py::test_an_exec_is_confined_as_the_runtime_confines_it[private cgroup-False]",
    "test_arrivals.py::test_there_and_back_again",
)


@pytest.mark.timeout(900)
def test_the_same_with_v2_alone() -> None:
    tests = [str(HERE / each) for each in CHOSEN]
    arguments = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
