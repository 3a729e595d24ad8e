"""Pausing and going on."""

from __future__ import annotations

from shared.contracts import platform
from shared.contracts.common import Ref
from shared.errors import ShoalError

from ..domain import lifecycle, status
from . import health
from .engine import Engine


async def pause(engine: Engine, container_id: str) -> int:
    """Freezes all its processes."""
    container = engine.registry.get(container_id)
    async with container.lock:
        lifecycle.check_pause(container.status.state, container.id)
        try:
            await engine.bus.call(platform.PAUSE, Ref(id=container.id))
        except ShoalError as error:
            raise type(error)(f"cannot pause container {container.id}: {error.message}") from None
        health.unwatch(container)
        revision = await engine.save(container, status.paused(container.status))
        engine.tell(container, "pause")
        return revision


async def unpause(engine: Engine, container_id: str) -> int:
    """Lets its processes go on."""
    container = engine.registry.get(container_id)
    async with container.lock:
        lifecycle.check_unpause(container.status.state, container.id)
        try:
            await engine.bus.call(platform.UNPAUSE, Ref(id=container.id))
        except ShoalError as error:
            raise type(error)(f"Cannot unpause container {container.id}: {error.message}") from None
        revision = await engine.save(container, status.unpaused(container.status))
        health.watch(engine, container)
        engine.tell(container, "unpause")
        return revision
