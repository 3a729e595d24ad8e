"""What a container wants of the network."""

from __future__ import annotations

from shared.contracts.container import ContainerSpec, EndpointSettings, HostConfig
from shared.contracts.network import SandboxRequest

from .validation.modes import joined

SHORT = 12


def wanted_networks(asked: HostConfig, given: dict[str, EndpointSettings]) -> dict[str, EndpointSettings]:
    """The networks a container is made with: those given, else the one its network mode names."""
    if joined(asked.network_mode) is not None:
        return {}
    renamed = {("bridge" if name == "default" else name): settings for name, settings in given.items()}
    return renamed or {asked.network_mode: EndpointSettings()}


def may_be_id(reference: str) -> bool:
    """Whether what names a network looks like its id, or the begin of it."""
    return len(reference) >= SHORT and set(reference) <= set("0123456789abcdef")


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
        publish={with_protocol(port): bindings for port, bindings in asked.port_bindings.items()} if own else {},
        exposed=tuple(with_protocol(port) for port in config.exposed_ports or ()) if own else (),
        publish_all=asked.publish_all_ports and own,
        dns=asked.dns,
        dns_options=asked.dns_options,
        dns_search=asked.dns_search,
        extra_hosts=asked.extra_hosts,
        links=asked.links,
    )


def with_protocol(port: str) -> str:
    """`80` is `80/tcp`."""
    return port if "/" in port else f"{port}/tcp"
