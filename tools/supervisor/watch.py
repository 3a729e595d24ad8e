"""Waiting for a change in a folder (inotify(7)) instead of looking again and again."""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path

IN_CREATE, IN_MOVED_TO, IN_DELETE = 0x100, 0x80, 0x200

_libc = ctypes.CDLL(None, use_errno=True)


def wait_until(folder: Path, holds: Callable[[], bool], seconds: float, ends: Sequence[int] = ()) -> bool:
    """Waits until `holds()`, which is asked at first and after each change of files in the folder.

    Gives up, with False, after `seconds` or when one of the descriptors `ends` becomes readable.
    """
    watcher = watch(folder)
    deadline = time.monotonic() + seconds
    try:
        while not holds():
            left = deadline - time.monotonic()
            readable = select.select([watcher, *ends], [], [], max(left, 0))[0]
            if watcher not in readable:
                return holds()
            os.read(watcher, 65536)
        return True
    finally:
        os.close(watcher)


def watch(folder: Path) -> int:
    """A descriptor that becomes readable after each change of files in the folder; not blocking."""
    watcher: int = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if watcher < 0 or _libc.inotify_add_watch(watcher, os.fsencode(folder), IN_CREATE | IN_MOVED_TO | IN_DELETE) < 0:
        number = ctypes.get_errno()
        if watcher >= 0:
            os.close(watcher)
        raise OSError(number, os.strerror(number), str(folder))
    return watcher
