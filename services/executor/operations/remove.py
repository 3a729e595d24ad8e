"""Removing a container.

Its spec and name go first: from then on it is gone for everybody, also after a crash or a power cut. Its status
and placement stay until nothing of it is on the host, so that recovery finds what is left to do.
"""

from __future__ import annotations

import asyncio
import logging

from shared.clock import now_ns
from shared.contracts.executor import RemoveRequest
from shared.errors import Conflict, ShoalError

from ..container import Container
from ..domain import lifecycle, status
from ..domain.events import died
from ..domain.mounts.resolve import is_anonymous, volume_names
from . import links, release, stop
from .create import remove_volume
from .engine import Engine

log = logging.getLogger(__name__)


async def remove(engine: Engine, request: RemoveRequest) -> int:
    """The revision at which it is gone."""
    container = engine.registry.staying(request.id)
    reference = request.reference or container.spec.name
    if request.link:
        if "/" not in reference.removeprefix("/"):
            raise Conflict("Conflict, cannot remove the default link name of the container")
        return await links.remove(engine, container, reference)
    if container.removing:
        raise lifecycle.removal_in_progress(reference)
    lifecycle.check_remove(container.status.state, reference, request.force)
    container.removing = True
    try:
        if container.running:
            await _bring_down(engine, container, reference)
        return await _forget(engine, container, volumes=request.volumes)
    except BaseException:
        container.removing = False
        raise


async def _bring_down(engine: Engine, container: Container, reference: str) -> None:
    try:
        await stop.kill_now(engine, container)
    except ShoalError as error:
        if container.running:
            text = f'cannot remove container "{reference}": could not kill container: {error.message}'
            raise type(error)(text, **error.details) from None


async def _forget(engine: Engine, container: Container, *, volumes: bool) -> int:
    if engine.registry.find(container.id) is not container:  # `--rm` was faster
        return container.spec_revision
    going = anonymous(container) if volumes else ()
    async with container.lock:  # its exit may just be being recorded
        if going:
            await engine.save(container, status.removing(container.status))
        await free_volumes(engine, container, going)
        container.spec_revision = await engine.records.forget(container.spec)
        _gone(engine, container)
        return container.spec_revision


def _gone(engine: Engine, container: Container) -> None:
    engine.registry.discard(container)
    engine.tell(container, "destroy")
    engine.tasks.start(_bury(engine, container), "remove")


async def _bury(engine: Engine, container: Container) -> None:
    await container.clean()
    async with container.lock:
        await release.everything(engine, container.id, release.holdings(container))
        await engine.records.bury(container.id, status=container.status_revision > 0)


async def bury(engine: Engine, container_id: str, volumes: tuple[str, ...]) -> None:
    """Finishes the removal of a container whose spec is gone, so that nobody knows what it had.

    `volumes` were made for one that was never made to the end.
    """
    await release.everything(engine, container_id, release.Holdings())
    await asyncio.gather(*(remove_volume(engine, name) for name in volumes))
    await engine.records.bury(container_id)


async def after_exit(engine: Engine, container: Container, end: status.Exit) -> None:
    """`--rm`: how it ended and that it is gone, told in one go. The lock is held."""
    container.removing = True
    last = container.status
    disconnected = engine.tasks.start(release.surroundings(engine, container, keep_files=False), "surroundings")
    await release.networks_left(container.spec, disconnected)
    saving = engine.save(container, status.exited(last, end))
    if volume_names(container.spec.mounts):
        await saving
        await free_volumes(engine, container, anonymous(container))
        container.spec_revision = await engine.records.forget(container.spec)
    else:
        _, container.spec_revision = await asyncio.gather(
            saving, engine.records.forget(container.spec)
        )  # in this order
    engine.registry.discard(container)
    engine.emit(died(container.spec, end, last.started_at, now_ns()), container)
    await disconnected  # the network tells of it before `destroy`
    _gone(engine, container)


async def automatically(engine: Engine, container: Container) -> None:
    """`--rm` for what does not run: its start failed, or nobody was here when it ended. The lock is held."""
    container.removing = True
    await free_volumes(engine, container, anonymous(container))
    container.spec_revision = await engine.records.forget(container.spec)
    _gone(engine, container)


def anonymous(container: Container) -> tuple[str, ...]:
    """Its volumes that nobody named."""
    return tuple(point.name for point in container.spec.mounts if is_anonymous(point))


async def free_volumes(engine: Engine, container: Container, going: tuple[str, ...]) -> None:
    """Unmounts its volumes and removes those that are `going`, the anonymous ones.

    Before the record that names them goes: a crash in between must not leave them to nobody, and who then
    removes a named one must not find it mounted.
    """
    if not volume_names(container.spec.mounts):
        return
    await container.clean()
    await release.workload(engine, container.id)
    await release.unmount(engine, container.id)
    await asyncio.gather(*(remove_volume(engine, name, but=container.id) for name in going))


async def prune(engine: Engine, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Removes those of the given containers that do not run; which these were."""
    removed = []
    for container_id in ids:
        container = engine.registry.find(container_id)
        if container is None or container.running or container.removing:
            continue
        try:
            await remove(engine, RemoveRequest(id=container.id))
        except ShoalError as error:
            log.warning("prune: %s", error)
        else:
            removed.append(container.id)
    return tuple(removed)
