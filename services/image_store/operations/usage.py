"""How much disk space images and writable layers take."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from shared.contracts.image_store import UsageReply, UsageRequest
from shared.paths import open_in_root

from .images import Images

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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


def tree_size(path: str) -> int:
    """Bytes in a tree that its container may be changing, 0 for none; blocks. Whatever it does, we stay inside."""
    try:
        root = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return 0
    try:
        seen: dict[int, int] = {}
        single = sum(_sizes(root, seen))
        return single + sum(seen.values())
    finally:
        os.close(root)


def _sizes(root: int, seen: dict[int, int]) -> Iterator[int]:
    """Sizes of what has one name; what has several is put into `seen` by inode."""
    pending = [""]
    while pending:
        path = pending.pop()
        try:
            directory = open_in_root(root, path, _DIRECTORY)
        except OSError:
            continue  # gone meanwhile, or its path is longer than any path can be
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{path}/{entry.name}")
                    else:
                        yield _size(entry, seen)
        finally:
            os.close(directory)


def _size(entry: os.DirEntry[str], seen: dict[int, int]) -> int:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    if status.st_nlink > 1:
        seen[status.st_ino] = status.st_size
        return 0
    return status.st_size
