from __future__ import annotations

import os
import stat
from pathlib import Path

from services.image_store.adapters import init_layer


def test_empty_places_to_mount_on_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for _ in range(2):
            init_layer.make(tmp_path / "init")
    finally:
        os.umask(before)
    found = {str(path.relative_to(tmp_path / "init")): path for path in (tmp_path / "init").rglob("*")}
    assert sorted(found) == [
        ".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "etc/hostname", "etc/hosts", "etc/mtab",
        "etc/resolv.conf", "proc", "sys",
    ]  # fmt: skip
    assert os.readlink(found["etc/mtab"]) == "/proc/mounts"
    assert {stat.S_IMODE(path.lstat().st_mode) for path in found.values() if not path.is_symlink()} == {0o755}
    assert found["etc/hosts"].stat().st_size == 0
