import subprocess
import threading
from pathlib import Path

import pytest

from tools.toolchain.debian import FetchError
from tools.toolchain.parts import Part
from tools.toolchain.prefix import ensure

BASH = Part(name="bash", packages=("bash",), minimum=(4, 0), reason="old")
PATCHELF = Path("patchelf")


def test_what_the_system_has_is_linked(tmp_path):
    prefix = tmp_path / "runtime"
    assert [finding.problem for finding in ensure(prefix, [BASH], PATCHELF)] == [""]
    assert subprocess.run([prefix / "bin/bash", "-c", "exit 7"], check=False).returncode == 7


def test_companions_come_from_the_same_place(tmp_path):
    part = Part(name="bash", packages=("bash",), minimum=(4, 0), reason="old", companions=("sh",))
    ensure(tmp_path / "runtime", [part], PATCHELF)
    assert subprocess.run([tmp_path / "runtime/bin/sh", "-c", "exit 7"], check=False).returncode == 7


def test_a_second_run_changes_nothing(tmp_path):
    prefix = tmp_path / "runtime"
    ensure(prefix, [BASH], PATCHELF)
    before = prefix.readlink()
    ensure(prefix, [BASH], PATCHELF)
    assert prefix.readlink() == before


def test_renewing_turns_the_link_and_sweeps_what_is_not_used(tmp_path):
    prefix = tmp_path / "runtime"
    ensure(prefix, [BASH], PATCHELF)
    old = prefix.resolve()
    ensure(prefix, [BASH], PATCHELF, renew=True)
    assert prefix.resolve() != old
    assert not old.exists()


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    (prefix := tmp_path / "runtime").mkdir()
    (prefix / "keep").touch()
    with pytest.raises(FetchError, match="not a link made by this tool"):
        ensure(prefix, [BASH], PATCHELF)
    assert (prefix / "keep").exists()


def test_runs_at_the_same_time_leave_one_usable_prefix(tmp_path):
    prefix = tmp_path / "runtime"
    threads = [threading.Thread(target=ensure, args=(prefix, [BASH], PATCHELF)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (prefix / "bin/bash").exists()
    assert len(list(tmp_path.glob("runtime-*"))) == 1
