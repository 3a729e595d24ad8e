"""How criu is called, and where its cache lies."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from services.platform.adapters import criu
from services.platform.domain.moving import Entry, External
from shared import hostmounts
from shared.config import Settings

IN_NAMESPACE = ("unshare", "-m", "--propagation", "private")


def test_its_version_is_known_and_new_enough() -> None:
    assert criu.Criu(Settings()).version() >= "4.2"
    assert criu.Criu(Settings(runtime_prefix="/nowhere", runtimes={})).version() is not None


def test_reasons_are_its_errors_but_for_harmless_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert criu.reason(log) == ""
    log.write_text(
        "(0.1) Error (criu/tun.c:85): tun: Unable to create tun: Operation not permitted\n"
        "(0.2) Error (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE for self\n(0.3) fine\n"
    )
    assert criu.reason(log) == ""
    log.write_text(log.read_text() + "(0.4) Error (criu/x.c:1): no such thing\n")
    assert criu.reason(log) == "criu failed: no such thing"


def test_a_small_tmpfs_is_made_as_it_was(tmp_path: Path) -> None:
    entries = (Entry("null", 0o20666, os.makedev(1, 3)), Entry("fd", 0, target="/proc/self/fd"), Entry("shm", 0o41777))
    criu.build(External("/dev", "tmpfs", (), "size=64k,mode=755", entries), tmp_path / "dev")
    try:
        assert criu.is_tmpfs(tmp_path / "dev")
        assert os.stat(tmp_path / "dev/null").st_rdev == os.makedev(1, 3)
        assert os.stat(tmp_path / "dev/null").st_mode & 0o777 == 0o666
        assert os.readlink(tmp_path / "dev/fd") == "/proc/self/fd"
        assert os.stat(tmp_path / "dev/shm").st_mode & 0o7777 == 0o1777
    finally:
        hostmounts.unmount(tmp_path / "dev")


def test_a_fast_folder_is_in_memory(tmp_path: Path) -> None:
    criu.ensure_fast(tmp_path / "fast")
    try:
        assert criu.is_tmpfs(tmp_path / "fast")
        criu.ensure_fast(tmp_path / "fast")
    finally:
        hostmounts.unmount(tmp_path / "fast")
    assert not criu.is_tmpfs(tmp_path / "fast")


def test_it_goes_with_the_last_move(tmp_path: Path) -> None:
    fast = tmp_path / "fast"
    criu.ensure_fast(fast)
    (fast / "criu").mkdir()
    (fast / "move").mkdir()
    criu.drop_fast(fast)
    assert criu.is_tmpfs(fast)
    (fast / "move").rmdir()
    criu.drop_fast(fast)
    assert not fast.exists()
    criu.drop_fast(fast)


@pytest.mark.parametrize("below", [False, True])
def test_the_cache_is_at_run_and_what_is_there_stays(tmp_path: Path, below: bool) -> None:
    """In a mount namespace of its own, with /run on a disk."""
    run = Path("/run/shoal-test-criu") if below else tmp_path / "run"
    script = f"""
from pathlib import Path
from services.platform.adapters import criu
from shared import hostmounts
run = Path({str(run)!r}); disk = Path({str(tmp_path / "disk")!r}); fast = Path({str(tmp_path / "fast")!r})
disk.mkdir(); hostmounts.mount(str(disk), "/run", flags=hostmounts.MS_BIND)
run.mkdir(parents=True); (run / "mine").touch()
criu.ensure_fast(fast)
criu.cache_features(fast, run)
assert criu.is_tmpfs(Path("/run")), "not in memory"
assert (run / "mine").exists(), "hidden"
criu.cache_features(fast, run)
print("well")
"""
    done = subprocess.run([*IN_NAMESPACE, "python", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "well\n", done.stderr


def test_what_criu_has_said_stays_said() -> None:
    """Also for a platform that was started after another had heard it: else it would wait for ever."""
    hears, says = os.pipe()
    os.write(says, b"\0")
    assert criu.has_written(hears)
    assert criu.has_written(hears)
    os.read(hears, 1)
    os.close(says)
    assert not criu.has_written(hears)
    os.close(hears)
