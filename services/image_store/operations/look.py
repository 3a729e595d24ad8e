"""What builds ask of the store: the files of images, and which image a step made before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from os import stat_result
from stat import S_IMODE

from shared.contracts.image_store import (
    ChildReply,
    ChildRequest,
    ContentsRequest,
    FileState,
    Folder,
    LookReply,
    LookRequest,
)
from shared.errors import NotFound
from shared.shielded import in_thread

from ..adapters.image_tree import CHUNK, ImageTree, Resolved
from ..domain.cache import child, following, origin
from .images import Images

MOST_READ = 256 << 10


def find_child(images: Images, request: ChildRequest) -> ChildReply:
    """The step's image, or an image whose history has the step."""
    if request.parent:
        if request.parent not in images.catalog:
            raise NotFound(f"No such image: {request.parent}")
        images.hold(request.lease, request.parent)
    found = child(images.catalog, request)
    if found is None:
        return ChildReply(origin=origin(images.catalog, request))
    images.hold(request.lease, found.id)
    return ChildReply(image=found, next=() if request.cache_from else following(images.catalog, found))


def _tree(images: Images, image_id: str) -> ImageTree:
    chain_id = images.catalog.resolve(image_id).chain_id if image_id else ""
    return ImageTree([images.layers.directory(layer) / "diff" for layer in images.layers.lineage(chain_id)])


async def look(images: Images, request: LookRequest) -> LookReply:
    """Blocks on no request of others."""
    tree = _tree(images, request.image)
    return await asyncio.to_thread(_look, tree, request)


def _look(tree: ImageTree, request: LookRequest) -> LookReply:
    with tree:
        return LookReply(
            found=tuple(_state(tree.resolve(path)) for path in request.paths),
            matches=tuple(tuple(tree.match(pattern)) for pattern in request.patterns),
            read=tuple(tree.read(path, MOST_READ) for path in request.read),
        )


def _state(resolved: Resolved) -> FileState:
    above = tuple(_folder(path, status) for path, status in resolved.above)
    return FileState(path=resolved.path, kind=resolved.found.kind if resolved.found else "", above=above)


def _folder(path: str, status: stat_result) -> Folder:
    mode = S_IMODE(status.st_mode)
    return Folder(path=path, mode=mode, uid=status.st_uid, gid=status.st_gid, mtime=status.st_mtime_ns)


async def contents(images: Images, request: ContentsRequest, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Sends the tar."""
    with _tree(images, request.image) as tree, closing(tree.archive(request.path)) as archive:
        while data := await in_thread(_some, archive):
            await write(data)


def _some(archive: Iterator[bytes]) -> bytes:
    """The next pieces, about a chunk of them; b"" at the end."""
    out = bytearray()
    for piece in archive:
        out += piece
        if len(out) >= CHUNK:
            break
    return bytes(out)
