"""The fence: ends the containers that others start again when this host loses its lease; see `shared.tenure`.

A process of its own, as small as can be, that needs nobody: not the broker, the executor, nor the supervisor that
started it. An ordered stop of the engine leaves it until the lease has ended, since containers go on without engine.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared import logs, tenure
from shared.config import Settings
from shared.tenure import SECOND, Desk

from . import records

if TYPE_CHECKING:
    from services.platform.adapters.cgroup import Cgroups

log = logging.getLogger(__name__)

NAME = "fence"
PAUSE, CALM = SECOND // 5, 2 * SECOND
"""Between two looks while the lease is lost: what was just being started then is found by the next one."""
ALERT = 60 * SECOND

_libc = ctypes.CDLL(None, use_errno=True)
_ABSOLUTE = 1
_HIGHEST = -20


def guard(settings: Settings, followed: Callable[[], bool]) -> None:
    """Returns when the lease is lost, its containers are ended, and nobody is `followed` any more."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _HIGHEST)  # a busy machine is no excuse
    desk, groups, timer = Desk(settings), _groups(), Timer()
    while True:
        held = desk.tenure()
        if held is not None and tenure.now() < held.deadline:
            timer.sleep_until(held.deadline)
            continue
        ended = end(desk, groups)
        if not ended and not followed():
            return
        lost = tenure.now() - (held.deadline if held is not None else 0)
        timer.sleep_until(tenure.now() + (PAUSE if lost < ALERT else CALM))


def _groups() -> Cgroups:
    from services.platform.adapters.cgroup import Cgroups  # here: the supervisor's own first steps need none of it

    return Cgroups()


def end(desk: Desk, groups: Cgroups) -> list[str]:
    """Kills the marked containers that run; which these were."""
    running = [(id, group) for id, group in desk.marked() if groups.processes(group)]
    for id, group in running:
        log.error("this host lost its lease: container %s ends", id)
        groups.signal(group, signal.SIGKILL)
        if groups.frozen(group):
            groups.freeze(group, False)  # on v1 a frozen process dies when it is thawed
    return [id for id, _ in running]


def end_marked(settings: Settings) -> None:
    """Ends now what must end with the lease."""
    desk = Desk(settings)
    if any(desk.marked()):
        end(desk, _groups())


class Timer:
    """Waits for a time of CLOCK_BOOTTIME, also across a suspension of the machine (timerfd_create(2))."""

    def __init__(self) -> None:
        self._descriptor = _libc.timerfd_create(time.CLOCK_BOOTTIME, os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def sleep_until(self, when: int) -> None:
        """`when` in nanoseconds; at once when it has passed."""
        expiry = struct.pack("qqqq", 0, 0, *divmod(max(when, 1), SECOND))
        if _libc.timerfd_settime(self._descriptor, _ABSOLUTE, expiry, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        os.read(self._descriptor, 8)

    def close(self) -> None:
        os.close(self._descriptor)


def is_needed(settings: Settings) -> bool:
    """Whether something on this host must end with its lease."""
    groups = _groups()
    return any(groups.exists(group) for _, group in Desk(settings).marked())


def serve(settings: Settings, where: Path) -> None:
    """Becomes the fence."""
    logs.configure(settings.log_level)
    records.write(where, records.of_this_process(NAME, ready=True))
    guard(settings, lambda: _followed(where))


def _followed(where: Path) -> bool:
    """Whether an engine is there that would start a fence when it is needed."""
    record = records.read(where, "supervisor")
    return record is not None and records.alive(record)
