"""Shared mounts, tried in a mount namespace of the test's own."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import hostmounts
from shared.config import Settings

CLONE_NEWNS = 0x20000
CLONE_FS = 0x200
_libc = ctypes.CDLL(None, use_errno=True)


def unshare_mounts() -> None:
    assert _libc.unshare(CLONE_NEWNS | CLONE_FS) == 0, os.strerror(ctypes.get_errno())


def in_own_namespace(work: Callable[[], None]) -> None:
    """Runs `work` in a thread whose mounts are its own and private, so that the host's stay as they are."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            unshare_mounts()
            hostmounts.mount("", "/", flags=hostmounts.MS_REC | hostmounts.MS_PRIVATE)
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def mounts(path: Path) -> int:
    lines = Path("/proc/thread-self/mountinfo").read_text().splitlines()
    return sum(line.split(" ")[4] == str(path) for line in lines)


def test_a_folder_on_a_private_mount_becomes_a_shared_mount_once(tmp_path: Path) -> None:
    path = tmp_path / "run"

    def work() -> None:
        hostmounts.ensure_shared(path)
        hostmounts.ensure_shared(path)
        assert hostmounts.mount_of(path) == (str(path), True, False)
        assert mounts(path) == 1
        hostmounts.drop_shared(path)
        assert mounts(path) == 0

    in_own_namespace(work)


def test_a_later_mount_is_seen_by_who_left_earlier(tmp_path: Path) -> None:
    settings = Settings(run_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))
    left, mounted, seen = threading.Event(), threading.Event(), []

    def leaver() -> None:
        unshare_mounts()
        left.set()
        mounted.wait(60)
        seen.append(mounts(settings.run_path / "inner"))

    def work() -> None:
        hostmounts.prepare(settings)
        inner = settings.run_path / "inner"
        inner.mkdir()
        thread = threading.Thread(target=leaver)
        thread.start()
        left.wait(60)
        hostmounts.mount("tmpfs", inner, "tmpfs")
        mounted.set()
        thread.join()
        assert seen == [1]
        hostmounts.unmount(inner)

    in_own_namespace(work)


def test_a_half_done_attempt_is_finished(tmp_path: Path) -> None:
    def work() -> None:
        hostmounts.mount(str(tmp_path), tmp_path, flags=hostmounts.MS_BIND)
        hostmounts.ensure_shared(tmp_path)
        assert hostmounts.mount_of(tmp_path) == (str(tmp_path), True, False)
        assert mounts(tmp_path) == 1

    in_own_namespace(work)


def test_unmounting_what_is_no_mount_names_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=str(tmp_path)):
        hostmounts.unmount(tmp_path)


def test_octal_escapes_of_mountinfo_are_undone() -> None:
    assert hostmounts._unescape("/a\\040b\\134c") == "/a b\\c"
