"""What a container changed of its image."""

from __future__ import annotations

from shared.contracts import image_store
from shared.contracts.common import Ref, StreamOffer

from .engine import Engine


async def changes(engine: Engine, container_id: str) -> StreamOffer:
    """Told by the image store, which has both."""
    container = engine.registry.get(container_id)
    return await engine.bus.call(image_store.CHANGES, Ref(id=container.id))
