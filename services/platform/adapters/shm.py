"""A /dev/shm that other workloads may share (`--ipc shareable`): a tmpfs on the host, bound into each of them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from shared import hostmounts

from ..domain.namespaces import SHAREABLE

__all__ = ["SHAREABLE", "drop", "make"]
_FLAGS = hostmounts.MS_NOSUID | hostmounts.MS_NOEXEC | hostmounts.MS_NODEV


def make(run: Path, workload: str, size: int) -> str:
    """Mounts it; the folder."""
    folder = run / "shm" / workload
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    hostmounts.mount("shm", folder, "tmpfs", _FLAGS, f"mode=1777,size={size}")
    return str(folder)


def drop(run: Path, workload: str) -> None:
    """Unmounts it; nothing where there is none. Those who share it keep it."""
    folder = run / "shm" / workload
    with contextlib.suppress(OSError):
        hostmounts.unmount(folder)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
