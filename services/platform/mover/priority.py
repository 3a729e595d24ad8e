"""A larger share of the processors for what others wait for."""

from __future__ import annotations

import os


def raise_to(nice: int) -> None:
    """For this process and those it starts, and for its session where sessions have shares (sched(7), autogroup)."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(nice))
    except OSError:
        pass  # it may not, or the kernel has no such groups: slower, no worse
