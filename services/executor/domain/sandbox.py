"""What a container wants of the network."""

from __future__ import annotations

from shared.contracts.container import ContainerSpec, EndpointSettings, HostConfig, PortBinding
from shared.contracts.network import SandboxRequest

from .validation.modes import joined


def wanted_networks(asked: HostConfig, given: dict[str, EndpointSettings]) -> dict[str, EndpointSettings]:
    """The networks a container is made with: those given, else the one its network mode names."""
    if joined(asked.network_mode) is not None:
        return {}
    renamed = {("bridge" if name == "default" else name): settings for name, settings in given.items()}
    return renamed or {asked.network_mode: EndpointSettings()}


def sandbox_request(spec: ContainerSpec) -> SandboxRequest | None:
    """The network stack to make ready; None when the container joins another's."""
    asked, config = spec.host_config, spec.config
    if joined(asked.network_mode) is not None and not config.network_disabled:
        return None
    mode = "none" if config.network_disabled else asked.network_mode
    own = mode not in ("host", "none")
    return SandboxRequest(
        container_id=spec.id,
        container_name=spec.name,
        mode="bridge" if own else mode,
        hostname=config.hostname,
        domainname=config.domainname,
        endpoints=spec.networks if own else {},
        publish=_published(asked) if own else {},
        exposed=tuple(_with_protocol(port) for port in config.exposed_ports or ()) if own else (),
        publish_all=asked.publish_all_ports and own,
        dns=asked.dns,
        dns_options=asked.dns_options,
        dns_search=asked.dns_search,
        extra_hosts=asked.extra_hosts,
        links=asked.links,
    )


def _published(asked: HostConfig) -> dict[str, tuple[PortBinding, ...]]:
    return {_with_protocol(port): bindings for port, bindings in asked.port_bindings.items()}


def _with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"
