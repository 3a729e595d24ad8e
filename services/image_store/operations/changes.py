"""`docker diff`: what a snapshot has that its image has not, and the other way round."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from shared.errors import Conflict, FailedPrecondition, NotFound

from ..adapters import changes_overlay
from .images import Images


async def changes(images: Images, init: Path, key: str) -> bytes:
    """Lines of JSON; raises `NotFound`, and `Conflict` when the snapshot goes meanwhile."""
    stands = images.snapshots.find(key)
    if stands is None:
        raise NotFound(f"no snapshot {key}")
    below = [images.layers.directory(layer) / "diff" for layer in images.layers.lineage(stands[1])]
    try:
        found = await asyncio.to_thread(changes_overlay.changes, images.snapshots.upper(key), [*below, init])
    except OSError as error:
        raise FailedPrecondition(f"cannot read the writable layer: {error.filename}: {error.strerror}") from None
    if images.snapshots.find(key) is not stands:
        raise Conflict(f"snapshot {key} was removed while it was read")
    return b"".join(msgspec.json.encode(_readable(change.path, change.kind)) + b"\n" for change in found)


def _readable(path: str, kind: int) -> dict[str, str | int]:
    """JSON has no bytes that are no text: as Go, they are replaced."""
    return {"path": path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), "kind": kind}
