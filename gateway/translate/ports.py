"""Published ports to change (`POST /containers/{id}/ports`), from and to JSON in Docker's style."""

from __future__ import annotations

from typing import Any

from shared.contracts.container import PortBinding
from shared.contracts.executor import PortsRequest
from shared.errors import InvalidArgument

from .container_shapes import PORT_BINDING
from .create import member

Ports = dict[str, tuple[PortBinding, ...]]


def ports_request(container: str, data: dict[str, Any] | None) -> PortsRequest:
    """The executor's request; `Add` and `Remove` are written as `HostConfig.PortBindings` is."""
    add, remove = (_bindings(data or {}, name) for name in ("Add", "Remove"))
    if not add and not remove:
        raise InvalidArgument("invalid JSON: Add or Remove must name a port")
    return PortsRequest(id=container, add=add, remove=remove)


def _bindings(data: dict[str, Any], name: str) -> Ports:
    ports = member(data, name)
    if ports is None:
        return {}
    if not isinstance(ports, dict):
        raise InvalidArgument(f"invalid JSON: {name}: Expected `object`")
    found: Ports = {}
    for port, bindings in ports.items():
        if bindings is not None and not isinstance(bindings, list):
            raise InvalidArgument(f"invalid JSON: {name}.{port}: Expected `array`")
        found[port] = tuple(PORT_BINDING.load(binding) for binding in bindings or ())
    return found


def show(ports: dict[str, tuple[PortBinding, ...] | None]) -> dict[str, Any]:
    """As `NetworkSettings.Ports` of inspect."""
    return {
        port: None if bindings is None else [PORT_BINDING.dump(binding) for binding in bindings]
        for port, bindings in ports.items()
    }
