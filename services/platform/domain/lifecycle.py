"""The states of a workload, and what may be done in each."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.errors import Conflict

State = Literal["created", "running", "paused", "stopped", "leaving"]
UNKNOWN_EXIT = 255
"""Exit code where the monitor was killed and nobody saw how the process ended (containerd's convention)."""

_ALLOWED: dict[str, tuple[State, ...]] = {
    "start": ("created",),
    "signal": ("created", "running", "paused"),
    "pause": ("running",),
    "unpause": ("paused",),
    "exec": ("running",),
    "checkpoint": ("running", "paused"),
    "resize": ("created", "running", "paused"),
    "top": ("running", "paused", "leaving"),
    "delete": ("created", "stopped"),
    "update": ("created", "running", "paused"),
    "stats": ("created", "running", "paused", "leaving"),
    "precopy": ("running",),
    "freeze": ("running",),
    "dump": ("leaving",),
}


class Ended(msgspec.Struct, frozen=True):
    """How a first process ended; `at` in nanoseconds since the epoch."""

    exit_code: int
    at: int
    oom_killed: bool = False


def check(workload: str, state: State, wish: str) -> None:
    """Raises `Conflict` in Docker's words when `wish` is not possible in that state."""
    if state in _ALLOWED[wish]:
        return
    if state == "leaving":
        raise Conflict(f"Container {workload} is being migrated")
    if wish == "unpause":
        raise Conflict(f"Container {workload} is not paused")
    if wish == "pause" and state == "paused":
        raise Conflict(f"Container {workload} is already paused")
    if wish == "exec" and state == "paused":
        raise Conflict(f"Container {workload} is paused, unpause the container before exec")
    if wish == "start":
        raise Conflict(f"Container {workload} is already {state}")
    if wish == "delete":
        raise Conflict(f"You cannot remove a {state} container {workload}. Stop it first")
    raise Conflict(f"Container {workload} is not running")
