"""Sandboxes: what a container's network stack consists of, worked out before anything is made."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from shared.contracts.base import Message
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import EndpointRecord, NetworkSpec, Sandbox, SandboxRequest
from shared.errors import InvalidArgument, PermissionDenied

from . import files, networks
from .publishing import Forward, parse_port

SHORT_ID = 12


class Attachment(Message, frozen=True):
    """One endpoint of a sandbox: on which network, as which interface, with which address (with prefix length).

    The networks `host` and `none` give no interface: those fields are empty then.
    """

    network_id: str
    network_name: str
    endpoint_id: str
    interface: str = ""
    bridge: str = ""
    address: str = ""
    mac: str = ""
    mtu: int = networks.DEFAULT_MTU

    @property
    def ip(self) -> ipaddress.IPv4Address:
        return ipaddress.IPv4Interface(self.address).ip


class SandboxRecord(Message, frozen=True):
    """What is kept of a sandbox while it exists; `gateway` is the endpoint with the default route and the ports."""

    sandbox: Sandbox
    container_name: str
    mode: str = "bridge"
    attachments: tuple[Attachment, ...] = ()
    gateway: str = ""
    own_names: str = ""
    """What the container calls itself in its hosts file."""
    nameservers: tuple[str, ...] = ()
    """Servers that the user named (`--dns`), asked by the embedded DNS."""
    dns: bool = False
    """Whether the stack has the embedded DNS."""

    @property
    def id(self) -> str:
        return self.sandbox.sandbox_id

    @property
    def wired(self) -> tuple[Attachment, ...]:
        """The endpoints that have an interface."""
        return tuple(attachment for attachment in self.attachments if attachment.interface)


@dataclass(frozen=True)
class Interface:
    """An interface to set up inside a namespace; `route`: the default route's gateway, when this one has it."""

    name: str
    bridge: str
    address: ipaddress.IPv4Interface
    mac: str
    mtu: int
    route: ipaddress.IPv4Address | None = None


@dataclass(frozen=True)
class HostFiles:
    """The host's own files that a container's are made from."""

    hosts: str
    resolv_conf: str
    hostname: str


def stack_mode(mode: str) -> str:
    """`host`, `none`, or `bridge` for everything that has a stack of its own. Refuses what is no mode for us."""
    if mode.startswith("container:"):
        raise InvalidArgument("a container that joins another's network stack has no sandbox of its own")
    return mode if mode in ("host", "none") else "bridge"


def wished_endpoints(request: SandboxRequest) -> dict[str, EndpointSettings]:
    """By network name or id; a container without any is on the default bridge or the network of its mode."""
    if request.endpoints:
        return request.endpoints
    return {"bridge" if request.mode in ("", "default") else request.mode: EndpointSettings()}


def check_networks(mode: str, specs: Iterable[NetworkSpec]) -> None:
    """`host` and `none` cannot be had beside other networks."""
    specs = tuple(specs)
    alone = {"host": "host", "none": "null"}.get(mode)
    for spec in specs:
        if spec.driver in ("host", "null") and (spec.driver != alone or len(specs) > 1):
            raise InvalidArgument(
                f"container cannot be connected to host network {spec.name} and others at once"
                if spec.driver == "host"
                else "container cannot be connected to multiple networks with one of them in private (none) mode"
            )


def check_wish(spec: NetworkSpec, wish: EndpointSettings) -> ipaddress.IPv4Address | None:
    """The address asked for, if any. Raises for what the network cannot give, in dockerd's words."""
    config = wish.ipam_config
    if config is not None and (config.ipv6_address or config.link_local_ips):
        raise InvalidArgument("IPv6 and link-local addresses of endpoints are not implemented yet")
    if config is None or not config.ipv4_address:
        return None
    if spec.name in networks.PREDEFINED:
        raise InvalidArgument("user specified IP address is supported on user defined networks only")
    try:
        return ipaddress.IPv4Address(config.ipv4_address)
    except ValueError:
        raise InvalidArgument(f"invalid IPv4 address: {config.ipv4_address}") from None


def check_mac(text: str) -> str:
    """A unicast MAC address of six bytes, in lower case."""
    parts = text.replace("-", ":").lower().split(":")
    if len(parts) != 6 or any(len(part) != 2 or not set(part) <= set("0123456789abcdef") for part in parts):
        raise InvalidArgument(f"invalid MAC address: {text}")
    if int(parts[0], 16) & 1:
        raise InvalidArgument(f"invalid MAC address: {text} is a multicast address")
    return ":".join(parts)


def gateway_of(specs: Mapping[str, NetworkSpec], wishes: Mapping[str, EndpointSettings]) -> str:
    """Id of the network whose gateway the stack uses: highest priority, then first by name; internal ones never."""
    usable = [
        (-wishes[network_id].gw_priority, spec.name, network_id)
        for network_id, spec in specs.items()
        if not spec.internal
    ]
    return min(usable)[2] if usable else ""


def dns_names(container_id: str, container_name: str, wish: EndpointSettings, hostname: str) -> tuple[str, ...]:
    """Names by which others on a user-defined network find the container."""
    names = (container_name, *(wish.aliases or ()), container_id[:SHORT_ID], hostname)
    return tuple(dict.fromkeys(name for name in names if name))


def settings(
    spec: NetworkSpec, attachment: Attachment, wish: EndpointSettings, names: Sequence[str]
) -> EndpointSettings:
    """What inspect shows of an endpoint: the wish, and what it got."""
    shown = msgspec.structs.replace(wish, network_id=spec.id, endpoint_id=attachment.endpoint_id)
    if not attachment.interface:
        return shown
    address = ipaddress.IPv4Interface(attachment.address)
    return msgspec.structs.replace(
        shown,
        mac_address=attachment.mac,
        gateway="" if spec.internal else str(networks.gateway(spec)),
        ip_address=str(address.ip),
        ip_prefix_len=address.network.prefixlen,
        dns_names=None if spec.name in networks.PREDEFINED else tuple(names),
    )


def renamed(record: SandboxRecord, name: str) -> SandboxRecord:
    """The same sandbox of a container that has another name now."""
    endpoints = {
        network: msgspec.structs.replace(
            shown, dns_names=tuple(name if known == record.container_name else known for known in shown.dns_names)
        )
        if shown.dns_names
        else shown
        for network, shown in record.sandbox.endpoints.items()
    }
    sandbox = msgspec.structs.replace(record.sandbox, endpoints=endpoints)
    return msgspec.structs.replace(record, container_name=name, sandbox=sandbox)


def check_connect(record: SandboxRecord, spec: NetworkSpec) -> None:
    """Refuses a network that a running container cannot be on, in dockerd's words."""
    if record.mode == "host" or spec.driver == "host":
        raise PermissionDenied("container cannot be disconnected from host network or connected to host network")
    if record.mode == "none" or spec.driver == "null":
        raise PermissionDenied(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if any(entry.network_id == spec.id for entry in record.attachments):
        name = record.container_name
        raise PermissionDenied(f"endpoint with name {name} already exists in network {spec.name}")


def free_interface(record: SandboxRecord) -> str:
    """The first of eth0, eth1 ... that the sandbox does not have."""
    taken = {entry.interface for entry in record.wired}
    return next(name for name in (f"eth{index}" for index in range(len(taken) + 1)) if name not in taken)


def joined(
    record: SandboxRecord, entry: Attachment, shown: EndpointSettings, specs: Mapping[str, NetworkSpec]
) -> SandboxRecord:
    """The sandbox with one endpoint more."""
    endpoints = {**record.sandbox.endpoints, entry.network_name: shown}
    return _with_endpoints(record, (*record.attachments, entry), endpoints, specs)


def left(record: SandboxRecord, network_id: str, specs: Mapping[str, NetworkSpec]) -> SandboxRecord:
    """The sandbox without its endpoint on that network."""
    kept = tuple(entry for entry in record.attachments if entry.network_id != network_id)
    names = {entry.network_name for entry in kept}
    endpoints = {name: shown for name, shown in record.sandbox.endpoints.items() if name in names}
    return _with_endpoints(record, kept, endpoints, specs)


def _with_endpoints(
    record: SandboxRecord,
    attachments: tuple[Attachment, ...],
    endpoints: dict[str, EndpointSettings],
    specs: Mapping[str, NetworkSpec],
) -> SandboxRecord:
    """The gateway is chosen anew, as libnetwork does: a new network may take over the default route and the ports."""
    wishes = {entry.network_id: endpoints[entry.network_name] for entry in attachments}
    chosen = gateway_of({network_id: specs[network_id] for network_id in wishes}, wishes)
    gateway = next((entry.endpoint_id for entry in attachments if entry.network_id == chosen and entry.interface), "")
    sandbox = msgspec.structs.replace(record.sandbox, endpoints=endpoints)
    return msgspec.structs.replace(record, sandbox=sandbox, attachments=attachments, gateway=gateway)


def endpoint_record(record: SandboxRecord, attachment: Attachment, node: str) -> EndpointRecord:
    """What the store holds of an endpoint."""
    shown = record.sandbox.endpoints[attachment.network_name]
    return EndpointRecord(
        id=attachment.endpoint_id,
        network_id=attachment.network_id,
        container_id=record.sandbox.container_id,
        container_name=record.container_name,
        node=node,
        mac_address=attachment.mac,
        ipv4_address=attachment.address,
        dns_names=shown.dns_names or (),
    )


def interfaces(record: SandboxRecord, specs: Mapping[str, NetworkSpec]) -> list[Interface]:
    """What to set up in the namespace."""
    return [
        Interface(
            attachment.interface,
            attachment.bridge,
            ipaddress.IPv4Interface(attachment.address),
            attachment.mac,
            attachment.mtu,
            networks.gateway(specs[attachment.network_id]) if attachment.endpoint_id == record.gateway else None,
        )
        for attachment in record.wired
    ]


def forwards(record: SandboxRecord) -> list[Forward]:
    """The published ports of a sandbox, as its record shows them; none while it has no way out."""
    target = next((entry.ip for entry in record.wired if entry.endpoint_id == record.gateway), None)
    return [] if target is None else [dataclasses.replace(held_port, target=target) for held_port in held(record)]


def held(record: SandboxRecord) -> list[Forward]:
    """The host ports that a sandbox has, whether or not they lead anywhere now."""
    nowhere = ipaddress.IPv4Address(0)
    return [
        Forward(protocol, ipaddress.ip_address(binding.host_ip), int(binding.host_port), nowhere, port)
        for (port, protocol), bindings in _by_port(record.sandbox.ports)
        for binding in bindings
    ]


def _by_port(
    ports: Mapping[str, tuple[PortBinding, ...] | None],
) -> Iterable[tuple[tuple[int, str], tuple[PortBinding, ...]]]:
    return ((parse_port(name), bindings) for name, bindings in ports.items() if bindings)


def own_name(request: SandboxRequest) -> str:
    """The container's host name: as asked, or the begin of its id."""
    return request.hostname or request.container_id[:SHORT_ID]


def contents(
    request: SandboxRequest,
    record: SandboxRecord,
    host_files: HostFiles,
    links: Sequence[tuple[str, str]],
    host_gateway: str,
) -> dict[str, str]:
    """The container's hosts, resolv.conf and hostname files."""
    for word in (request.hostname, request.domainname, *request.dns_search, *request.dns_options):
        _check_word(word)
    extra = files.extra_records(request.extra_hosts, host_gateway)
    own = own_name(request)
    if record.mode == "host":
        own = request.hostname or host_files.hostname
        hosts = files.append_records(host_files.hosts, extra)
    else:
        addresses = [str(attachment.ip) for attachment in record.wired]
        hosts = files.hosts([*extra, *links], addresses, record.own_names)
    return {"hosts": hosts, "resolv.conf": _resolv_conf(request, record, host_files), "hostname": f"{own}\n"}


def _check_word(word: str) -> None:
    """What is written into a file of words and lines must be one word."""
    if any(char.isspace() or not char.isprintable() for char in word):
        raise InvalidArgument(f"invalid host name, DNS search domain or DNS option: {word!r}")


def _resolv_conf(request: SandboxRequest, record: SandboxRecord, host_files: HostFiles) -> str:
    wishes = (request.dns, request.dns_search, request.dns_options)
    if record.dns:
        return files.embedded_resolv_conf(host_files.resolv_conf, *wishes)
    return files.resolv_conf(host_files.resolv_conf, *wishes, filtered=record.mode != "host")
