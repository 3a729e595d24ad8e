"""After a power cut: layers whose trees were not synced are unpacked again from their blobs, which were."""

from __future__ import annotations

import logging

from shared.errors import ShoalError

from ..ports import Layer, Session, Unpacker
from .images import Images

log = logging.getLogger(__name__)


async def unpack_again(lost: tuple[Layer, ...], images: Images, unpacker: Unpacker) -> None:
    """Restores the layers, those below first. What cannot be restored is logged; images on it cannot be used."""
    if not lost:
        return
    waiting = {layer.chain_id: layer for layer in lost}
    async with unpacker.session() as session:
        while waiting:
            ready = [layer for layer in waiting.values() if layer.parent not in waiting]
            for layer in ready or list(waiting.values()):
                del waiting[layer.chain_id]
                await _unpack(layer, images, session)


async def _unpack(layer: Layer, images: Images, session: Session) -> None:
    try:
        file = session.link(images.content.path(layer.blob.digest))
        tree, unpacked = await session.unpack(file, hashed=False)
        await images.layers.put(layer, tree, unpacked)
        log.info("layer %s was unpacked again", layer.chain_id)
    except (ShoalError, OSError) as error:
        log.error("layer %s cannot be unpacked again: %s", layer.chain_id, error)
