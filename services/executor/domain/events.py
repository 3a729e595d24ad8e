"""Docker's container events: which attributes they carry."""

from __future__ import annotations

from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerSpec

from .status import Exit


def container_event(spec: ContainerSpec, action: str, at: int, **extra: str) -> DockerEvent:
    """An event of this container: its labels, image and name, and what the action adds. `at` in nanoseconds."""
    attributes = {**extra, **spec.config.labels}
    if spec.config.image:
        attributes["image"] = spec.config.image
    attributes["name"] = spec.name
    return DockerEvent(type="container", action=action, actor=spec.id, attributes=attributes, time_ns=at)


def died(spec: ContainerSpec, end: Exit, started_at: int, at: int) -> DockerEvent:
    """`die`, with the exit code and how many whole seconds the process ran."""
    seconds = max(0, end.at - started_at) // 1_000_000_000
    return container_event(spec, "die", at, exitCode=str(end.code), execDuration=str(seconds))


def exec_action(verb: str, cmd: tuple[str, ...]) -> str:
    """`exec_create: sh -c ls`; a command without arguments keeps the blank that dockerd puts after it."""
    return f"{verb}: {cmd[0]} {' '.join(cmd[1:])}"
