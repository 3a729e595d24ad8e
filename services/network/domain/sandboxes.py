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

from . import drivers, endpoints, files, mesh, options
from .addresses import Address
from .endpoints import Attachment, Plan
from .publishing import ANY4, Forward, Targets, Wish, parse_port, shown, wishes

DEFAULT_NETWORK = "bridge"


class SandboxRecord(Message, frozen=True):
    """What is kept of a sandbox while it exists.

    `gateway` and `gateway6` are the endpoints with the default routes of IPv4 and IPv6, which published ports lead
    to; `exposed` and `publish_all` are as the container asked for them.
    """

    sandbox: Sandbox
    container_name: str
    mode: str = "bridge"
    attachments: tuple[Attachment, ...] = ()
    gateway: str = ""
    gateway6: str = ""
    own_names: str = ""
    """What the container calls itself in its hosts file."""
    nameservers: tuple[str, ...] = ()
    """Servers that the user named (`--dns`), asked by the embedded DNS."""
    dns: bool = False
    """Whether the stack has the embedded DNS."""
    dots: bool = False
    """Whether somebody set `ndots`: then the embedded DNS asks nobody else for names without a dot."""
    exposed: tuple[str, ...] = ()
    publish_all: bool = False
    links: tuple[str, ...] = ()
    """Other containers that it knows by another name (`--link` on the default bridge): `id:alias`."""
    standby: bool = False
    """The container is on another host: nobody reaches this stack yet, nor is anything of it known."""

    @property
    def id(self) -> str:
        return self.sandbox.sandbox_id

    @property
    def wired(self) -> tuple[Attachment, ...]:
        """The endpoints that have an interface."""
        return tuple(attachment for attachment in self.attachments if attachment.interface)

    @property
    def open(self) -> bool:
        """Whether the stack has a way out."""
        return bool(self.gateway or self.gateway6)


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


def renamed(record: SandboxRecord, name: str) -> SandboxRecord:
    """The same sandbox of a container that has another name now."""
    all_shown = {
        network: msgspec.structs.replace(
            shown, dns_names=tuple(name if known == record.container_name else known for known in shown.dns_names)
        )
        if shown.dns_names
        else shown
        for network, shown in record.sandbox.endpoints.items()
    }
    sandbox = msgspec.structs.replace(record.sandbox, endpoints=all_shown)
    return msgspec.structs.replace(record, container_name=name, sandbox=sandbox)


def check_networks(mode: str, specs: Iterable[NetworkSpec]) -> None:
    """`host` and `none` cannot be had beside other networks."""
    specs = tuple(specs)
    for spec in specs:
        endpoints.check_pair(spec, len(specs) - 1, {"host": "host", "none": "null"}.get(mode))


def check_connect(record: SandboxRecord, spec: NetworkSpec) -> None:
    """Refuses a network that a running container cannot be on, in dockerd's words."""
    if spec.config_only:
        raise PermissionDenied("cannot create endpoint on configuration-only network")
    if record.mode == "host" or spec.driver == "host":
        raise InvalidArgument("container cannot be disconnected from host network or connected to host network")
    if record.mode == "none" or spec.driver == "null":
        raise InvalidArgument(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if any(entry.network_id == spec.id for entry in record.attachments):
        name = record.container_name
        raise PermissionDenied(f"endpoint with name {name} already exists in network {spec.name}")


def joined(
    record: SandboxRecord, entry: Attachment, shown: EndpointSettings, specs: Mapping[str, NetworkSpec]
) -> SandboxRecord:
    """The sandbox with one endpoint more."""
    all_shown = {**record.sandbox.endpoints, entry.network_name: shown}
    return _with_endpoints(record, (*record.attachments, entry), all_shown, specs)


def left(record: SandboxRecord, network_id: str, specs: Mapping[str, NetworkSpec]) -> SandboxRecord:
    """The sandbox without its endpoint on that network."""
    kept = tuple(entry for entry in record.attachments if entry.network_id != network_id)
    names = {entry.network_name for entry in kept}
    rest = {name: shown for name, shown in record.sandbox.endpoints.items() if name in names}
    return _with_endpoints(record, kept, rest, specs)


def _with_endpoints(
    record: SandboxRecord,
    attachments: tuple[Attachment, ...],
    shown: dict[str, EndpointSettings],
    specs: Mapping[str, NetworkSpec],
) -> SandboxRecord:
    """The gateways are chosen anew, as libnetwork does: a new network may take over default routes and ports."""
    sandbox = msgspec.structs.replace(record.sandbox, endpoints=shown)
    return routed(msgspec.structs.replace(record, sandbox=sandbox, attachments=attachments), specs)


def routed(record: SandboxRecord, specs: Mapping[str, NetworkSpec]) -> SandboxRecord:
    """The sandbox with its gateways chosen."""
    wishes = {entry.network_id: record.sandbox.endpoints[entry.network_name] for entry in record.attachments}
    gateway, gateway6 = endpoints.gateways_of(record.attachments, specs, wishes)
    return msgspec.structs.replace(record, gateway=gateway, gateway6=gateway6)


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
        ipv6_address=attachment.address6,
        dns_names=shown.dns_names or (),
        interface=attachment.interface,
        meshed=meshed(record, attachment),
    )


def unpublished(record: SandboxRecord, why: str) -> str:
    """That ports of a container cannot be published, in dockerd's words."""
    where = f"endpoint {record.container_name} ({record.gateway or record.gateway6})"
    return f"driver failed programming external connectivity on {where}: {why}"


def meshed(record: SandboxRecord, attachment: Attachment) -> dict[str, int]:
    """Ports that every host publishes for a container on networks across hosts: those it has on this host at no certain
    address. Such a container has a way out that nobody asked for.
    """
    if attachment.way_out or way_out(record) is None:
        return {}
    return mesh.published(record.sandbox.ports)


def asked_meshed(record: SandboxRecord) -> list[str]:
    """Those of them that it asks for by one number: it has these or none."""
    return list(mesh.published(record.sandbox.publish)) if way_out(record) is not None else []


def chosen_meshed(record: SandboxRecord) -> list[str]:
    """Those of them that were chosen for it, and might be others."""
    asked = asked_meshed(record)
    has = {name for entry in record.attachments for name in meshed(record, entry)}
    return sorted(has.difference(asked))


def former_ports(formers: Iterable[EndpointRecord], wish: Wish) -> list[Wish]:
    """The wish for the ports of the host that the container had for it until now, as other hosts still have them."""
    found = []
    for name, target in sorted({port: to for former in formers for port, to in former.meshed.items()}.items()):
        port, protocol = parse_port(name)
        if (protocol, target) == (wish.protocol, wish.port) and (same := wish.at(port)) is not None:
            found.append(same)
    return found


def plans(record: SandboxRecord, specs: Mapping[str, NetworkSpec], prefix: str) -> list[Plan]:
    """The interfaces to set up in the namespace."""
    return [
        endpoints.plan(
            entry,
            specs[entry.network_id],
            record.sandbox.endpoints[entry.network_name],
            prefix,
            [v for v, chosen in ((4, record.gateway), (6, record.gateway6)) if chosen == entry.endpoint_id],
            attached=not record.standby,
        )
        for entry in record.wired
    ]


def targets(record: SandboxRecord, specs: Mapping[str, NetworkSpec]) -> Targets:
    """Where the sandbox's published ports lead."""
    found: dict[int, Address | None] = {4: None, 6: None}
    direct = set()
    for version, chosen in ((4, record.gateway), (6, record.gateway6)):
        entry = _publishing(record, specs, chosen)
        if entry is not None:
            found[version] = entry.ip(version)
            if options.gateway_mode(specs[entry.network_id].options, version) == "routed":
                direct.add(version)
    return Targets(found[4], found[6], frozenset(direct), relay=not record.gateway6)


def _publishing(record: SandboxRecord, specs: Mapping[str, NetworkSpec], endpoint_id: str) -> Attachment | None:
    entry = next((each for each in record.wired if each.endpoint_id == endpoint_id), None)
    return entry if entry is not None and drivers.of(specs[entry.network_id]).publishes else None


def port_wishes(record: SandboxRecord, specs: Mapping[str, NetworkSpec], *, dual: bool) -> list[Wish]:
    """What the sandbox is to publish, given the networks that it is on now."""
    if not (record.sandbox.publish or record.publish_all):
        return []
    entry = next((each for each in record.wired if each.endpoint_id == (record.gateway or record.gateway6)), None)
    default = options.address(specs[entry.network_id].options, options.HOST_BINDING) if entry else None
    return wishes(
        record.sandbox.publish,
        record.exposed,
        record.publish_all,
        targets(record, specs),
        default_host=default or ANY4,
        dual=dual,
    )


def held(record: SandboxRecord) -> list[Forward]:
    """The host's ports that a sandbox has, whether or not they lead anywhere now."""
    return ends(record.sandbox.ports)


def ends(ports: Mapping[str, tuple[PortBinding, ...] | None]) -> list[Forward]:
    """Published ports as inspect shows them; where they lead is not said there."""
    found = []
    for name, bindings in ports.items():
        port, protocol = parse_port(name)
        for binding in bindings or ():
            host = ipaddress.ip_address(binding.host_ip)
            found.append(Forward(protocol, host, int(binding.host_port or 0), host, port))
    return found


def forwards(record: SandboxRecord, specs: Mapping[str, NetworkSpec]) -> list[Forward]:
    """The published ports of a sandbox, as its record shows them; those that lead nowhere now are left out."""
    lead = targets(record, specs)
    found = []
    for each in held(record):
        target = lead.of(each.host.version)
        if target is not None:
            found.append(dataclasses.replace(each, target=target))
    return found


def with_ports(record: SandboxRecord, taken: Iterable[Forward], specs: Mapping[str, NetworkSpec]) -> SandboxRecord:
    """The sandbox that shows these ports as published; not even exposed ports are shown where nothing is published."""
    ways = (_publishing(record, specs, chosen) for chosen in (record.gateway, record.gateway6))
    showing = record.mode == "bridge" and any(way is not None for way in ways)
    ports = shown(taken, record.exposed) if showing else {}
    return msgspec.structs.replace(record, sandbox=msgspec.structs.replace(record.sandbox, ports=ports))


def linked(record: SandboxRecord, present: Mapping[str, SandboxRecord]) -> list[tuple[str, str]]:
    """Lines of the hosts file for the containers that it links to: address and names."""
    found = []
    for link in record.links:
        target, _, alias = link.partition(":")
        other = present.get(target)
        for entry in other.wired if other is not None else ():
            if other is not None and entry.network_name == DEFAULT_NETWORK:
                names = dict.fromkeys((alias, other.own_names.split(" ")[-1], other.container_name))
                found += [(str(address), " ".join(names)) for address in entry.ips]
    return found


def addresses(record: SandboxRecord) -> list[Address]:
    """Its endpoints' addresses, but for one that only leads outside."""
    return [address for entry in record.wired if not entry.way_out for address in entry.ips]


def way_out(record: SandboxRecord) -> Attachment | None:
    """The endpoint that it has only to reach outside."""
    return next((entry for entry in record.attachments if entry.way_out), None)


def public(record: SandboxRecord) -> Sandbox:
    """The sandbox as others see it: without what nobody asked for."""
    hidden = way_out(record)
    if hidden is None:
        return record.sandbox
    rest = {name: shown for name, shown in record.sandbox.endpoints.items() if name != hidden.network_name}
    return msgspec.structs.replace(record.sandbox, endpoints=rest)


def own_name(request: SandboxRequest) -> str:
    """The container's host name: as asked, or the begin of its id."""
    return request.hostname or request.container_id[: endpoints.SHORT_ID]


def contents(
    request: SandboxRequest,
    record: SandboxRecord,
    host_files: HostFiles,
    links: Sequence[tuple[str, str]],
    host_gateways: Sequence[str],
) -> dict[str, str]:
    """The container's hosts, resolv.conf and hostname files."""
    for word in (request.hostname, request.domainname, *request.dns_search, *request.dns_options):
        _check_word(word)
    extra = files.extra_records(request.extra_hosts, host_gateways)
    own = own_name(request)
    if record.mode == "host":
        own = request.hostname or host_files.hostname
        hosts = files.append_records(host_files.hosts, extra)
    else:
        hosts = files.hosts([*extra, *links], map(str, addresses(record)), record.own_names)
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
