"""Joining and leaving networks, running or not."""

from __future__ import annotations

import msgspec

from shared.contracts import network
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.executor import ConnectRequest, DisconnectRequest
from shared.errors import NotFound, PermissionDenied

from ..container import Container
from ..domain.sandbox import sandbox_request
from ..domain.validation.modes import check_connect, is_user_defined
from . import ports
from .engine import Engine


async def connect(engine: Engine, request: ConnectRequest) -> int:
    """The wish is recorded, so that it holds after a restart; a running container gets its interface at once."""
    container = engine.registry.staying(request.id)
    check_connect(container.spec.host_config.network_mode)
    async with container.lock:
        asked = network.ConnectRequest(
            network=request.network,
            container_id=container.id,
            container_name=container.spec.name,
            settings=request.settings,
            running=container.running,
        )
        spec = (await engine.bus.call(network.INSPECT, network.InspectRequest(reference=request.network))).spec
        if spec.name in container.spec.networks:
            name = container.spec.name
            raise PermissionDenied(f"endpoint with name {name} already exists in network {spec.name}")
        reply = await engine.bus.call(network.CONNECT, asked)
        here = spec.scope == "local" and is_user_defined(spec.name)
        wanted = container.spec.networks | {spec.name: request.settings}
        revision = await _record(engine, container, wanted, bound=here)
        if container.running:
            shown = container.status.networks | {spec.name: reply.settings}
            revision = await _show(engine, container, shown, reply.ports)
    return revision


async def disconnect(engine: Engine, request: DisconnectRequest) -> int:
    """The reverse of `connect`; with `force` also from a network that is no more."""
    container = engine.registry.staying(request.id)
    async with container.lock:
        name = await _name(engine, request)
        if name not in container.spec.networks:
            raise NotFound(f"container {container.id} is not connected to network {name}")
        asked = network.DisconnectRequest(network=name, container_id=container.id, force=request.force)
        reply = await engine.bus.call(network.DISCONNECT, asked)
        revision = await _record(engine, container, _without(container.spec.networks, name))
        if name in container.status.networks:
            rest = _without(container.status.networks, name)
            revision = await _show(engine, container, rest, reply.ports)
    return revision


async def _show(
    engine: Engine,
    container: Container,
    shown: dict[str, EndpointSettings],
    ports: dict[str, tuple[PortBinding, ...] | None] | None,
) -> int:
    """With a network its published ports may have moved."""
    last = container.status
    now = msgspec.structs.replace(last, networks=shown, ports=last.ports if ports is None else ports)
    return await engine.save(container, now)


async def reconcile(engine: Engine, sandbox: network.Sandbox) -> None:
    """After a crash of this process in the middle of a change: records and the running container's stack agree again.

    Networks are as the stack has them, since their records are written last; published ports as the record has them.
    """
    container = engine.registry.find(sandbox.container_id)
    if container is None:
        return
    async with container.lock:
        request = sandbox_request(container.spec)
        if not container.running or container.removing or request is None:
            return
        wanted = container.spec.networks
        if request.endpoints and set(sandbox.endpoints) != set(wanted):
            kept = {name: wanted.get(name) or _wish(shown) for name, shown in sandbox.endpoints.items()}
            await _record(engine, container, kept)
        if sandbox.publish != request.publish:
            sandbox = await ports.publish(engine, container.spec, {})
        if (container.status.networks, container.status.ports) != (sandbox.endpoints, sandbox.ports):
            await _show(engine, container, sandbox.endpoints, sandbox.ports)


def _wish(shown: EndpointSettings) -> EndpointSettings:
    """What was asked of an endpoint, out of what inspect shows of it."""
    return EndpointSettings(
        ipam_config=shown.ipam_config,
        links=shown.links,
        aliases=shown.aliases,
        driver_opts=shown.driver_opts,
        gw_priority=shown.gw_priority,
    )


async def _name(engine: Engine, request: DisconnectRequest) -> str:
    try:
        return (await engine.bus.call(network.INSPECT, network.InspectRequest(reference=request.network))).spec.name
    except NotFound:
        if not request.force:
            raise
        return request.network


async def _record(
    engine: Engine, container: Container, networks: dict[str, EndpointSettings], *, bound: bool = False
) -> int:
    return await engine.save_spec(container, msgspec.structs.replace(container.spec, networks=networks), bound=bound)


def _without(networks: dict[str, EndpointSettings], name: str) -> dict[str, EndpointSettings]:
    return {key: value for key, value in networks.items() if key != name}
