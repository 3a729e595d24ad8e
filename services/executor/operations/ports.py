"""Changing the published ports of a container, while it runs."""

from __future__ import annotations

import msgspec

from shared.contracts import network
from shared.contracts.container import ContainerSpec, PortBinding
from shared.contracts.executor import PortsReply, PortsRequest
from shared.errors import Conflict, ShoalError

from ..container import Container
from ..domain import ports
from ..domain.sandbox import sandbox_request
from ..domain.validation.networks import check_ports
from .engine import Engine


async def change(engine: Engine, request: PortsRequest) -> PortsReply:
    """First the running container's live ports, then the records: what was refused is not recorded."""
    container = engine.registry.staying(request.id)
    async with container.lock:
        if container.removing:
            raise Conflict(f"container {container.id} is marked for removal: its ports cannot be changed")
        before = container.spec
        ports.check_mode(before.host_config.network_mode)
        asked = ports.change(
            before.host_config, before.config.exposed_ports or (), container.status.ports, request.add, request.remove
        )
        check_ports(asked.host_config)
        spec = msgspec.structs.replace(before, host_config=asked.host_config)
        revision = await _apply(engine, container, spec, asked.released)
    engine.tell(container, "update")
    return PortsReply(ports=container.status.ports, revision=revision)


async def _apply(
    engine: Engine, container: Container, spec: ContainerSpec, released: dict[str, tuple[PortBinding, ...]]
) -> int:
    if not container.running:
        return await _record(engine, container, spec)
    before = container.spec
    made = await publish(engine, spec, released)
    try:
        revision = await _record(engine, container, spec)
    except ShoalError:
        await publish(engine, before, {})
        raise
    if made.ports != container.status.ports:
        revision = await engine.save(container, msgspec.structs.replace(container.status, ports=made.ports))
    return revision


async def publish(engine: Engine, spec: ContainerSpec, released: dict[str, tuple[PortBinding, ...]]) -> network.Sandbox:
    """Makes a running container publish what its record says."""
    wanted = sandbox_request(spec)
    assert wanted is not None
    return await engine.bus.call(
        network.PUBLISH,
        network.PublishRequest(
            container_id=spec.id,
            publish=wanted.publish,
            exposed=wanted.exposed,
            publish_all=wanted.publish_all,
            released=released,
        ),
    )


async def _record(engine: Engine, container: Container, spec: ContainerSpec) -> int:
    return await engine.save_spec(container, spec)
