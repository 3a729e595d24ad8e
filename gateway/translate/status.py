"""A container's state as Docker shows it: the flags of inspect and the text of `docker ps`."""

from __future__ import annotations

from shared.contracts.container import ContainerStatus, Health

from .durations import human_duration

RUNNING = frozenset(("running", "paused", "restarting"))
"""States in which Docker says `Running: true`."""

HOST_DOWN = "Host Down"
"""Instead of a state that nobody can know: in the words of Docker Swarm before there was swarm mode."""


def is_running(status: ContainerStatus) -> bool:
    """Whether Docker calls it running: paused and restarting count."""
    return status.state in RUNNING


def health_text(health: Health) -> str:
    """Health as the status text has it."""
    return "health: starting" if health.status == "starting" else health.status


def status_text(status: ContainerStatus, now: int) -> str:
    """`Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`: Docker's words."""
    if status.state == "restarting":
        return f"Restarting ({status.exit_code}) {human_duration(now - status.finished_at)} ago"
    if status.state in ("running", "paused"):
        return f"Up {human_duration(now - status.started_at)}{_note(status)}"
    if status.state == "removing":
        return "Removal In Progress"
    if status.state == "dead":
        return "Dead"
    if status.started_at == 0:
        return "Created"
    if status.finished_at == 0:
        return ""
    return f"Exited ({status.exit_code}) {human_duration(now - status.finished_at)} ago"


def tells_time(status: ContainerStatus) -> bool:
    """Whether the text says how long something has lasted, so that time alone changes it."""
    return status.state in RUNNING or status.finished_at != 0


def _note(status: ContainerStatus) -> str:
    if status.state == "paused":
        return " (Paused)"
    if status.health is not None and status.health.status != "none":
        return f" ({health_text(status.health)})"
    return ""


def exits(status: ContainerStatus) -> int:
    """How often the container's process has ended: what `wait` for the next exit compares."""
    return status.runs - 1 if status.state in ("running", "paused") else status.runs
