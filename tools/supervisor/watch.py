"""Waiting for a change in a folder (inotify(7)) instead of looking again and again."""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path

IN_CREATE, IN_MOVED_TO, IN_DELETE, IN_MODIFY, IN_MOVE_SELF = 0x100, 0x80, 0x200, 0x2, 0x800

TURN = 1.0
"""Seconds of one wait; no more of a time in which the caller was stopped counts."""

_libc = ctypes.CDLL(None, use_errno=True)


def wait_until(folder: Path, holds: Callable[[], bool], seconds: float, ends: Sequence[int] = ()) -> bool:
    """Waits until `holds()`, which is asked at first and after each change of files in the folder.

    Gives up, with False, after `seconds` or when one of the descriptors `ends` becomes readable. Time in which the
    caller was stopped hardly counts: whoever is waited for mostly was, too (a machine that sleeps, a job on hold).
    """
    watcher = watch(folder)
    left = seconds
    try:
        while not holds():
            turn, begun = min(max(left, 0), TURN), time.monotonic()
            readable = select.select([watcher, *ends], [], [], turn)[0]
            left -= min(time.monotonic() - begun, turn)
            if watcher in readable:
                os.read(watcher, 65536)
            elif readable or left <= 0:
                return holds()
        return True
    finally:
        os.close(watcher)


def watch(folder: Path) -> int:
    """A descriptor that becomes readable after each change of files in the folder; not blocking."""
    made = watcher()
    try:
        add(made, folder, IN_CREATE | IN_MOVED_TO | IN_DELETE)
    except OSError:
        os.close(made)
        raise
    return made


def watcher() -> int:
    """A descriptor that becomes readable after each event that is added to it; not blocking."""
    return _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify")


def add(watcher: int, path: Path, events: int) -> None:
    """Has it hear of what happens to a file or folder; once more changes nothing."""
    _checked(_libc.inotify_add_watch(watcher, os.fsencode(path), events), str(path))


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result
