"""What lies below every image in a snapshot: the empty files and folders onto which a container's own are mounted.

So mounting them changes no writable layer, and `/.dockerenv` is there, by which programs tell that they run in a
container. (dockerd's init layer is the same, but above the image: there it would hide what the image says.)
"""

from __future__ import annotations

import os
from pathlib import Path

_FOLDERS = ("dev", "dev/pts", "dev/shm", "etc", "proc", "sys")
_FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
_LINKS = {"etc/mtab": "/proc/mounts"}
_MODE = 0o755


def make(root: Path) -> None:
    """Makes the tree, or what is missing of it."""
    root.mkdir(mode=_MODE, exist_ok=True)
    for name in _FOLDERS:
        (root / name).mkdir(mode=_MODE, exist_ok=True)
    for name in _FILES:
        os.close(os.open(root / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE))
    for name, target in _LINKS.items():
        if not (root / name).is_symlink():
            os.symlink(target, root / name)
    for name in ("", *_FOLDERS, *_FILES):
        (root / name).chmod(_MODE)
