"""`RUN --mount`: what each mount of a step needs made ready, and cleared away after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from shared.contracts.container import MountRequest, TmpfsOptions
from shared.errors import InvalidArgument, NotFound, NotImplementedYet
from shared.shielded import in_thread

from ..domain.graph import by_reference
from ..domain.mounts import BIND, CACHE, SECRET, TMPFS, Mount
from ..domain.steps import SCRIPTS, Execute
from ..domain.tree import Node, Tree, directory
from .copy import fetched
from .engine import Build

SECRET_MODE, CACHE_MODE, SCRIPT_MODE = 0o400, 0o755, 0o755


@asynccontextmanager
async def mounted(build: Build, position: int, step: Execute) -> AsyncIterator[tuple[MountRequest, ...]]:
    """The container's mounts for the time of the step; raises `InvalidArgument`, `NotFound`, `NotImplementedYet`."""
    async with AsyncExitStack() as stack:
        locked = {mount.cache for mount in step.mounts if mount.sharing == "locked"}
        for name in sorted(locked):  # each once, and in one order: nobody waits for who waits for him
            await stack.enter_async_context(build.locks.setdefault(name, asyncio.Lock()))
        found = []
        for mount in step.mounts:
            request = await _mount(build, position, mount, stack)
            if request is not None:
                found.append(request)
        if step.script is not None:
            name, text = step.script
            path = build.files.secret(text.encode(), SCRIPT_MODE, 0, 0)
            stack.callback(build.files.remove, path)
            found.append(MountRequest(type="bind", source=str(path), target=SCRIPTS + name, read_only=True))
        yield tuple(found)


async def _mount(build: Build, position: int, mount: Mount, stack: AsyncExitStack) -> MountRequest | None:
    if mount.type == TMPFS:
        return MountRequest(type="tmpfs", target=mount.target, tmpfs_options=TmpfsOptions(size_bytes=mount.size))
    if mount.type == SECRET:
        return _secret(build, mount, stack)
    if mount.type == CACHE:
        return await _cache(build, position, mount, stack)
    if mount.type == BIND:
        return await _bind(build, position, mount, stack)
    raise NotImplementedYet(f"mounts of type {mount.type!r} are not supported by this engine")


def _secret(build: Build, mount: Mount, stack: AsyncExitStack) -> MountRequest | None:
    data = build.request.secrets.get(mount.secret)
    if data is None:
        if mount.required:
            raise NotFound(f"secret {mount.secret}: not found")
        return None
    if mount.env is not None:
        raise NotImplementedYet("a secret as an environment variable is not supported: it would be stored; use a file")
    mode = SECRET_MODE if mount.mode is None else mount.mode
    path = build.files.secret(data, mode, mount.uid or 0, mount.gid or 0)
    stack.callback(build.files.remove, path)
    return MountRequest(type="bind", source=str(path), target=mount.place, read_only=True)


async def _cache(build: Build, position: int, mount: Mount, stack: AsyncExitStack) -> MountRequest:
    image_id = await _image(build, position, mount.from_) if mount.from_ else ""
    name = f"{mount.cache} {image_id} {mount.source}" if image_id else mount.cache
    if mount.sharing == "private":
        names = (name, *(f"{name} {number}" for number in range(2, len(build.busy) + 3)))
        name = next(each for each in names if each not in build.busy)
    build.busy.append(name)
    stack.callback(build.busy.remove, name)
    mode = CACHE_MODE if mount.mode is None else mount.mode
    begin = directory(mode, mount.uid or 0, mount.gid or 0)
    if image_id and not build.files.has_cache(name):
        begin = await _of_image(build, image_id, mount.source)
        if not begin.is_directory:
            raise InvalidArgument(f"failed to mount {mount.source}: not a directory")
    path = await in_thread(build.files.cache, name, begin, build.spools)
    return MountRequest(type="bind", source=str(path), target=mount.target, read_only=not mount.writable)


async def _bind(build: Build, position: int, mount: Mount, stack: AsyncExitStack) -> MountRequest:
    """The files are written out for this step alone: what it writes there is gone with it."""
    node = await _origin(build, position, mount)
    path = build.files.place()
    stack.callback(build.files.remove, path)
    await in_thread(build.files.write, path, node, build.spools)
    return MountRequest(type="bind", source=str(path), target=mount.target, read_only=not mount.writable)


async def _origin(build: Build, position: int, mount: Mount) -> Node:
    if not mount.from_:
        if build.context is None:
            raise InvalidArgument("missing build context")
        return _at(build.context, mount.source)
    return await _of_image(build, await _image(build, position, mount.from_), mount.source)


async def _image(build: Build, position: int, reference: str) -> str:
    """The id of the image that `from` means: of a stage, or by its name."""
    stage = by_reference(build.stages, position, reference)
    if stage is not None:
        return (await build.result(stage)).image_id
    return (await build.base(reference, None, position)).id


async def _of_image(build: Build, image_id: str, path: str) -> Node:
    place = await build.store.place(image_id, path.strip("/"))
    if not place.kind:
        raise InvalidArgument(f"failed to mount {path}: not found")
    return (await fetched(build, image_id, path, place)).node


def _at(tree: Tree, path: str) -> Node:
    try:
        return tree.find(path)[0]
    except NotFound:
        raise InvalidArgument(f"failed to mount {path}: not found") from None
