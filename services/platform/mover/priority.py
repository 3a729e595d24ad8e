"""A larger share of the processors for what others wait for, a smaller one for what nobody does."""

from __future__ import annotations

import os
from contextlib import suppress

HURRY = -15
"""A page that is late is a client that waits (nice(2))."""


def rush() -> None:
    """For this process, which is woken many times and works little each time: it never waits for a processor that does
    anything else (sched(7), SCHED_RR).
    """
    with suppress(OSError):  # it may not
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def wait_for_idle() -> None:
    """This process gets a processor only where nobody else wants it (sched(7), SCHED_IDLE), until `wait_no_more`."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def wait_no_more(process: int = 0) -> None:
    """Also of another process: one that waits may not hear that it is to wait no more."""
    with suppress(OSError):
        if os.sched_getscheduler(process) == os.SCHED_IDLE:
            os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))


def give(nice: int) -> None:
    """For this process and those it starts, and for its session where sessions have shares (sched(7), autogroup)."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(nice))
    except OSError:
        pass  # it may not, or the kernel has no such groups: slower, no worse
