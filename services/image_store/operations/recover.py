"""After a power cut: layers whose trees were not synced are unpacked again from their blobs, which were."""

from __future__ import annotations

import logging

import msgspec

from shared.contracts.common import Descriptor
from shared.errors import ShoalError

from ..domain import config
from ..domain.archive import Manifest, decode
from ..domain.catalog import Stored
from ..ports import Layer, Session, Unpacker
from .images import Images

log = logging.getLogger(__name__)


async def unpack_again(images: Images, unpacker: Unpacker) -> None:
    """Restores the layers that images need and that are not there; what cannot be restored is logged."""
    missing = {layer.chain_id: layer for stored in images.catalog.all() for layer in _missing(images, stored)}
    if not missing:
        return
    async with unpacker.session() as session:
        for layer in missing.values():  # in each image those below come first
            if not layer.parent or images.layers.get(layer.parent):
                await _unpack(layer, images, session)
    images.open()


def _missing(images: Images, stored: Stored) -> list[Layer]:
    if all(images.layers.get(chain_id) for chain_id in stored.chains):
        return []
    manifest: Manifest = decode(images.content.read(stored.manifest.digest, config.LONGEST), Manifest, "manifest")
    return [
        Layer(
            chain_id=chain_id,
            parent=stored.chains[number - 1] if number else "",
            diff_id=stored.image.diff_ids[number],
            size=0,
            blob=Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size),
        )
        for number, (chain_id, blob) in enumerate(zip(stored.chains, manifest.layers, strict=True))
        if not images.layers.get(chain_id)
    ]


async def _unpack(layer: Layer, images: Images, session: Session) -> None:
    try:
        file = session.link(images.content.path(layer.blob.digest))
        tree, unpacked = await session.unpack(file, hashed=True)
        if unpacked.digest != layer.diff_id:
            log.error("layer %s: its blob %s is damaged", layer.chain_id, layer.blob.digest)
            return
        await images.layers.put(msgspec.structs.replace(layer, size=unpacked.size), tree, unpacked)
        log.warning("layer %s was unpacked again", layer.chain_id)
    except (ShoalError, OSError) as error:
        log.error("layer %s cannot be unpacked again: %s", layer.chain_id, error)
