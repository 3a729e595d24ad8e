"""How much disk space images and writable layers take."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable

from shared.contracts.image_store import UsageReply, UsageRequest

from .images import Images


async def usage(images: Images, request: UsageRequest) -> UsageReply:
    """Counts as Docker does: the bytes of files and links, each inode once, directories not at all."""
    snapshots = images.snapshots
    keys = [key for key in (request.keys or snapshots.keys()) if snapshots.find(key)]
    sizes = await asyncio.to_thread(lambda: {key: tree_size(str(snapshots.upper(key))) for key in keys})
    return UsageReply(
        snapshots=sizes,
        images={stored.image.id: stored.image.size for stored in images.catalog.all()},
        layers=sum(layer.size for layer in images.layers.all()),
    )


def tree_size(root: str) -> int:
    """Bytes in a tree that may be changing; blocks. Never follows a link, nor leaves the file system's root given."""
    total, seen = 0, set[int]()
    for _, _, files, descriptor in os.fwalk(root, follow_symlinks=False, onerror=None):
        total += sum(_sizes(files, descriptor, seen))
    return total


def _sizes(names: Iterable[str], directory: int, seen: set[int]) -> Iterable[int]:
    for name in names:
        try:
            status = os.lstat(name, dir_fd=directory)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode) or status.st_ino in seen:
            continue
        if status.st_nlink > 1:
            seen.add(status.st_ino)
        yield status.st_size
