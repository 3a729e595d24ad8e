"""The event of a container's end."""

from __future__ import annotations

from shared.container_events import container_event
from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerSpec

from .status import Exit


def died(spec: ContainerSpec, end: Exit, started_at: int, at: int) -> DockerEvent:
    """`die`, with the exit code and how many whole seconds the process ran."""
    seconds = max(0, end.at - started_at) // 1_000_000_000
    return container_event(spec, "die", at, exitCode=str(end.code), execDuration=str(seconds))
