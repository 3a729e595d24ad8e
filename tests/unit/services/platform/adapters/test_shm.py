"""Shared memory on the host for several workloads."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from services.platform.adapters import shm


def test_it_is_a_tmpfs_of_that_size_until_dropped(directory: Path) -> None:
    folder = shm.make(directory, "c", 1 << 20)
    try:
        assert os.path.ismount(folder)
        assert os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize == 1 << 20
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o1777
    finally:
        shm.drop(directory, "c")
    assert not os.path.exists(folder)
    shm.drop(directory, "c")
