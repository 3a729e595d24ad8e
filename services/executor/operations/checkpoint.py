"""Checkpoints: taken by the platform, kept in folders of the host."""

from __future__ import annotations

import asyncio

from shared.contracts import platform
from shared.contracts.executor import CheckpointListReply, CheckpointListRequest, CheckpointRef, CheckpointRequest
from shared.errors import AlreadyExists, NotFound, ShoalError

from ..container import Container
from ..domain import checkpoints, lifecycle
from . import health
from .engine import Engine

EXIT_PATIENCE = 10.0
"""Seconds until the report of a container's end that its checkpoint brought about."""


async def create(engine: Engine, request: CheckpointRequest) -> int:
    """Writes the state of a running container; it goes on, or has ended when this returns."""
    checkpoints.check(request.checkpoint)
    container = engine.registry.staying(request.id)
    reference = request.reference or container.spec.name
    async with container.lock:
        lifecycle.check_checkpoint(container.status.state, container.id)
        folder = checkpoints.folder(engine.checkpoints, container.id, request.directory)
        if request.checkpoint in (engine.paths.folders(folder) or ()):
            taken = f"checkpoint with name {request.checkpoint} already exists for container {reference}"
            raise AlreadyExists(f"cannot checkpoint container {reference}: {taken}")
        await _take(engine, container, request, f"{folder}/{request.checkpoint}", reference)
        engine.tell(container, "checkpoint")
    if request.exit:
        await container.down(EXIT_PATIENCE)
        async with container.lock:  # the exit is being recorded
            pass
        await container.clean()
    return container.status_revision


async def _take(engine: Engine, container: Container, request: CheckpointRequest, path: str, reference: str) -> None:
    """No probe runs meanwhile: it would be a process that is not the container's own."""
    wanted = platform.CheckpointRequest(
        id=container.id, image_path=path, leave_running=not request.exit, tcp_established=True, file_locks=True
    )
    health.unwatch(container)
    try:
        await engine.bus.call(platform.CHECKPOINT, wanted)
    except ShoalError as error:
        health.watch(engine, container)
        raise type(error)(f"Cannot checkpoint container {reference}: {error.message}", **error.details) from None
    if not request.exit:
        health.watch(engine, container)


def names(engine: Engine, request: CheckpointListRequest) -> CheckpointListReply:
    """The container's checkpoints; all folders of a directory that is named."""
    container = engine.registry.get(request.id)
    found = engine.paths.folders(checkpoints.folder(engine.checkpoints, container.id, request.directory))
    if found is None and request.directory:
        reference = request.reference or container.spec.name
        raise NotFound(f'checkpoint directory "{request.directory}" does not exist for container {reference}')
    return CheckpointListReply(names=tuple(found or ()))


async def delete(engine: Engine, request: CheckpointRef) -> None:
    """Removes one with its files."""
    checkpoints.check(request.checkpoint)
    container = engine.registry.get(request.id)
    folder = checkpoints.folder(engine.checkpoints, container.id, request.directory)
    if request.checkpoint not in (engine.paths.folders(folder) or ()):
        raise checkpoints.missing(request.checkpoint, request.reference or container.spec.name)
    await asyncio.to_thread(engine.paths.remove_tree, f"{folder}/{request.checkpoint}")
