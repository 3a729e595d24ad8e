"""What Docker's events of containers carry."""

from __future__ import annotations

from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerSpec


def container_event(spec: ContainerSpec, action: str, at: int, **extra: str) -> DockerEvent:
    """An event of this container: its labels, image and name, and what the action adds. `at` in nanoseconds."""
    attributes = {**extra, **spec.config.labels}
    if spec.config.image:
        attributes["image"] = spec.config.image
    attributes["name"] = spec.name
    return DockerEvent(type="container", action=action, actor=spec.id, attributes=attributes, time_ns=at)


def exec_event(spec: ContainerSpec, verb: str, cmd: tuple[str, ...], exec_id: str, at: int) -> DockerEvent:
    """`exec_create: sh -c ls`; a command without arguments keeps the blank that dockerd puts after it."""
    return container_event(spec, f"{verb}: {cmd[0]} {' '.join(cmd[1:])}", at, execID=exec_id)
