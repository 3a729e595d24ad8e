"""Pausing and going on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.contracts import platform
from shared.contracts.common import Ref
from shared.errors import ShoalError

from ..container import Container
from ..domain import lifecycle, status
from . import health
from .engine import Engine, patiently

log = logging.getLogger(__name__)


async def pause(engine: Engine, container_id: str) -> int:
    """Freezes all its processes."""
    container = engine.registry.staying(container_id)
    async with container.lock:
        lifecycle.check_pause(container.status.state, container.id)
        try:
            await engine.bus.call(platform.PAUSE, Ref(id=container.id))
        except ShoalError as error:
            raise type(error)(f"cannot pause container {container.id}: {error.message}", **error.details) from None
        health.unwatch(container)
        revision = await engine.save(container, status.paused(container.status))
        engine.tell(container, "pause")
        return revision


async def unpause(engine: Engine, container_id: str) -> int:
    """Lets its processes go on."""
    container = engine.registry.staying(container_id)
    async with container.lock:
        lifecycle.check_unpause(container.status.state, container.id)
        try:
            await engine.bus.call(platform.UNPAUSE, Ref(id=container.id))
        except ShoalError as error:
            raise type(error)(f"Cannot unpause container {container.id}: {error.message}", **error.details) from None
        revision = await engine.save(container, status.unpaused(container.status))
        health.watch(engine, container)
        engine.tell(container, "unpause")
        return revision


@asynccontextmanager
async def held(engine: Engine, container: Container) -> AsyncIterator[None]:
    """A container that runs stands still meanwhile, and goes on also after a crash of this process.

    What a client pauses or unpauses is the client's affair. A host that cannot pause does without (as dockerd).
    """
    async with container.lock:
        holding = container.status.held or (container.status.state == "running" and await _hold(engine, container))
        container.holds += holding
    try:
        yield
    finally:
        async with container.lock:
            container.holds -= holding
            if holding and container.status.held and not container.holds:
                await let_go(engine, container)


async def _hold(engine: Engine, container: Container) -> bool:
    """The record comes first: from it recovery knows that nobody asked for this pause."""
    await engine.save(container, status.held(container.status))
    try:
        await engine.bus.call(platform.PAUSE, Ref(id=container.id))
    except ShoalError as error:
        log.warning("container %s cannot be paused: %s", container.id, error)
        await engine.save(container, status.unpaused(container.status))
        return False
    health.unwatch(container)
    engine.tell(container, "pause")
    return True


async def let_go(engine: Engine, container: Container) -> None:
    """Ends a hold. The container's lock is held."""
    await patiently("unpause", lambda: engine.bus.call(platform.UNPAUSE, Ref(id=container.id)))
    await engine.save(container, status.unpaused(container.status))
    health.watch(engine, container)
    engine.tell(container, "unpause")
