"""Renaming a container."""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec

from shared.contracts import network
from shared.contracts.executor import RenameRequest
from shared.errors import AlreadyExists, InvalidArgument

from ..domain import lifecycle, names
from .create import take_name
from .engine import Engine


async def rename(engine: Engine, request: RenameRequest) -> int:
    """The new name is taken before the old one is given up: a crash leaves two, which recovery sees.

    Renamed it is when its record says so; the old name is free for whoever asks after that.
    """
    if not request.name.removeprefix("/"):
        raise InvalidArgument("Neither old nor new names may be empty")
    container = engine.registry.staying(request.id)
    name = _checked(request.name)
    async with container.lock:
        if container.removing:
            raise lifecycle.removal_in_progress(container.spec.name)
        old = container.spec.name
        if name == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        async with AsyncExitStack() as undo:
            await _take(engine, name, container.id)
            undo.push_async_callback(engine.records.release_name, name, container.id)
            if container.status.sandbox_id:
                await engine.bus.call(network.RENAMED, network.RenamedRequest(container_id=container.id, name=name))
            spec = msgspec.structs.replace(container.spec, name=name)
            revision = await engine.save_spec(container, spec)
            undo.pop_all()
        engine.registry.renamed(container, old)
        await engine.records.give_up_name(old, container.id)
    engine.tell(container, "rename", oldName=f"/{old}")
    return revision


def _checked(name: str) -> str:
    try:
        return names.checked(f"/{name.removeprefix('/')}")
    except InvalidArgument as error:
        raise InvalidArgument(f"Error when allocating new name: {error.message}") from None


async def _take(engine: Engine, name: str, container_id: str) -> None:
    try:
        await take_name(engine, name, container_id)
    except AlreadyExists as error:
        raise AlreadyExists(f"Error when allocating new name: {error.message}") from None
