"""Changing a container's limits and restart policy."""

from __future__ import annotations

import msgspec

from shared.contracts import platform
from shared.contracts.container import HostConfig, Resources
from shared.contracts.executor import UpdateReply, UpdateRequest
from shared.errors import Conflict, ShoalError

from ..container import Container
from ..domain import lifecycle
from ..domain.update import live_limits, updated
from ..domain.validation import Host, check_policy, check_resources
from .engine import Engine


async def update(engine: Engine, request: UpdateRequest) -> UpdateReply:
    """First a running container's live limits, then the record: what was refused is not recorded."""
    container = engine.registry.staying(request.id)
    asked, warnings = await _checked(engine, request)
    async with container.lock:
        try:
            if container.removing:
                raise Conflict('container is marked for removal and cannot be "update"')
            after = updated(container.spec.host_config, asked, request.restart_policy)
            await _apply(engine, container, after, asked)
        except ShoalError as error:
            raise type(error)(f"Cannot update container {container.id}: {error.message}", **error.details) from None
        spec = msgspec.structs.replace(container.spec, host_config=after)
        await engine.save_spec(container, spec)
    engine.tell(container, "update")
    return UpdateReply(warnings=tuple(warnings), revision=container.spec_revision)


async def _checked(engine: Engine, request: UpdateRequest) -> tuple[Resources, list[str]]:
    asked = HostConfig(**{name: getattr(request.resources, name) for name in Resources.__struct_fields__})
    if request.restart_policy is not None:
        check_policy(request.restart_policy)
    return check_resources(asked, Host(await engine.host(), engine.paths.exists), update=True)


async def _apply(engine: Engine, container: Container, after: HostConfig, asked: Resources) -> None:
    if container.status.state not in lifecycle.ALIVE:
        return
    limits = live_limits(after, asked)
    if limits != Resources():
        await engine.bus.call(platform.UPDATE, platform.UpdateRequest(id=container.id, resources=limits))
