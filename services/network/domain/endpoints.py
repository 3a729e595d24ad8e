"""Endpoints: the places of a container's network stack on its networks, worked out before anything is made."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from shared.contracts.base import Message
from shared.contracts.container import EndpointSettings
from shared.contracts.network import CreateRequest, EndpointRecord, NetworkSpec
from shared.errors import InvalidArgument, PermissionDenied

from . import drivers, networks, options, subnets
from .addresses import Address, AddressSpace, Interface, mac_address, parse_address
from .drivers import Wire

SHORT_ID = 12
WAY_OUT = "docker_gwbridge"
"""The local network by which containers that are on networks across hosts alone reach outside: libnetwork's name."""
LINK_LOCAL_PREFIX = {4: 16, 6: 64}


class Attachment(Message, frozen=True):
    """One endpoint of a sandbox: on which network, as which interface, with which addresses (with prefix length).

    The networks `host` and `none` give no interface: those fields are empty then. `slot` numbers the sandbox's
    interfaces for what the host calls their other ends.
    """

    network_id: str
    network_name: str
    endpoint_id: str
    interface: str = ""
    kind: str = "veth"
    address: str = ""
    address6: str = ""
    mac: str = ""
    mtu: int = options.DEFAULT_MTU
    slot: int = 0
    way_out: bool = False
    """Nobody asked for it: it leads outside what is on networks across hosts alone (libnetwork's default gateway)."""

    @property
    def ips(self) -> tuple[Address, ...]:
        """Its addresses, IPv4 first."""
        return tuple(ipaddress.ip_interface(text).ip for text in (self.address, self.address6) if text)

    def ip(self, version: int) -> Address | None:
        """Its address of that IP version."""
        return next((address for address in self.ips if address.version == version), None)


@dataclass(frozen=True)
class Plan:
    """An interface to set up inside a namespace; `gateways`: the default routes' ones, when this one has them.

    `link_routes`: IP versions whose default route names the interface alone. `sysctls` are paths below
    /proc/sys/net, with their values.
    """

    name: str
    wire: Wire
    addresses: tuple[Interface, ...]
    mac: str
    mtu: int
    gateways: tuple[Address, ...] = ()
    link_routes: tuple[int, ...] = ()
    slot: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()
    attached: bool = True
    """Whether its host's end is a port of the network's bridge at once."""

    @property
    def ipv6(self) -> bool:
        """Whether it needs IPv6 switched on."""
        return any(address.version == 6 for address in self.addresses)


@dataclass(frozen=True)
class Wished:
    """The addresses that an endpoint is asked to have; None: any."""

    v4: Address | None = None
    v6: Address | None = None


def check_wish(spec: NetworkSpec, wish: EndpointSettings) -> Wished:
    """What was asked for. Raises for what the network cannot give, in dockerd's words."""
    config = wish.ipam_config
    problems = list(_sysctl_problems(wish))
    found: dict[int, Address | None] = {4: None, 6: None}
    if config is not None:
        for version, text in ((4, config.ipv4_address), (6, config.ipv6_address)):
            if not text:
                continue
            if spec.name in networks.PREDEFINED:
                text = "user specified IP address is supported on user defined networks only"
                raise InvalidArgument(f"invalid endpoint settings:\n{text}")
            found[version], problem = _address(text, version), _range_problem(spec, text, version)
            problems += [problem] if problem else []
        for text in config.link_local_ips:
            _link_local(text)
    if problems:
        raise InvalidArgument("invalid endpoint settings:\n" + "\n".join(problems))
    return Wished(found[4], found[6])


def _address(text: str, version: int) -> Address:
    try:
        address = parse_address(text)
        if address.version == version and int(address):
            return address
    except ValueError:
        pass
    raise InvalidArgument(f"invalid endpoint settings:\ninvalid IPv{version} address: {text}")


def _range_problem(spec: NetworkSpec, text: str, version: int) -> str:
    """Only what the user chose the subnet of has addresses of the user's choice."""
    asked = [ipaddress.ip_network(config.subnet, strict=False) for config in spec.asked if config.subnet]
    own = [subnet for subnet in asked if subnet.version == version]
    if not own:
        return "user specified IP address is supported only when connecting to networks with user configured subnets"
    if not any(ipaddress.ip_address(text) in subnet for subnet in own):
        return f"no configured subnet or ip-range contain the IP address {text}"
    return ""


def _link_local(text: str) -> Interface:
    try:
        address = parse_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid endpoint settings:\ninvalid link-local IP address: {text}") from None
    return ipaddress.ip_interface(f"{address}/{LINK_LOCAL_PREFIX[address.version]}")


def _sysctl_problems(wish: EndpointSettings) -> Iterable[str]:
    for sysctl in _sysctls(wish):
        parts = sysctl.split(".", 4)
        known = len(parts) == 5 and parts[1] in ("ipv4", "ipv6", "mpls") and parts[3].lower() == "ifname"
        clean = not any(part in ("", "..") or "/" in part for part in parts)
        if not known or not clean or "=" not in parts[-1]:
            yield (
                f"unrecognised network interface sysctl '{sysctl}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )


def _sysctls(wish: EndpointSettings) -> list[str]:
    text = (wish.driver_opts or {}).get(options.ENDPOINT_SYSCTLS, "")
    return text.split(",") if text else []


def sysctls(wish: EndpointSettings, interface: str) -> tuple[tuple[str, str], ...]:
    """Paths below /proc/sys/net and values of `com.docker.network.endpoint.sysctls`, for that interface."""
    found = []
    for sysctl in _sysctls(wish):
        _, family, kind, _, rest = sysctl.split(".", 4)
        key, _, value = rest.partition("=")
        found.append((f"{family}/{kind}/{interface}/{key.replace('.', '/')}", value))
    return tuple(found)


def check_mac(text: str) -> str:
    """A unicast MAC address of six bytes, in lower case."""
    parts = text.replace("-", ":").lower().split(":")
    if len(parts) != 6 or any(len(part) != 2 or not set(part) <= set("0123456789abcdef") for part in parts):
        raise InvalidArgument(f"invalid MAC address: {text}")
    if int(parts[0], 16) & 1:
        raise InvalidArgument(f"invalid MAC address: {text} is a multicast address")
    return ":".join(parts)


def interface_name(spec: NetworkSpec, wish: EndpointSettings, taken: Sequence[str]) -> str:
    """As asked for, else the first free of eth0, eth1 (or the network's own prefix)."""
    asked = (wish.driver_opts or {}).get(options.ENDPOINT_IFNAME, "")
    if asked:
        options.interface({options.ENDPOINT_IFNAME: asked}, options.ENDPOINT_IFNAME)
        if asked in taken or asked == "lo":
            raise InvalidArgument(f"interface name {asked} is taken by another endpoint of the container")
        return asked
    prefix = spec.options.get(options.IFACE_PREFIX, "") or "eth"
    return next(name for name in (f"{prefix}{index}" for index in range(len(taken) + 1)) if name not in taken)


def attach(
    base: Attachment, spec: NetworkSpec, wish: EndpointSettings, space: AddressSpace, taken: Sequence[Attachment]
) -> Attachment:
    """The endpoint with interface and addresses, which are taken from the space; all or none of them."""
    driver = drivers.of(spec)
    wire = driver.wire(spec, "")
    if wire is None:
        return base
    wished = check_wish(spec, wish)
    if wire.kind == "ipvlan" and wish.mac_address:
        raise PermissionDenied("ipvlan interfaces do not support custom mac address assignment")
    mac = check_mac(wish.mac_address) if wish.mac_address else ""
    name = interface_name(spec, wish, [other.interface for other in taken])
    given = _take(space, wished)
    return msgspec.structs.replace(
        base,
        interface=name,
        kind=wire.kind,
        address=str(given[4]) if 4 in given else "",
        address6=str(given[6]) if 6 in given else "",
        mac=mac or (mac_address(min(given.items())[1].ip) if given and wire.kind != "ipvlan" else ""),
        mtu=driver.mtu(spec),
        slot=_slot(taken),
    )


def _slot(taken: Sequence[Attachment]) -> int:
    slots = {other.slot for other in taken}
    return next(slot for slot in range(len(slots) + 1) if slot not in slots)


def inherited(
    base: Attachment, spec: NetworkSpec, wish: EndpointSettings, former: EndpointRecord, taken: Sequence[Attachment]
) -> Attachment:
    """The endpoint that the container has on another host, here: nothing of it is another but the host."""
    names = [other.interface for other in taken]
    kept = former.interface if former.interface not in ("", *names) else ""
    return msgspec.structs.replace(
        base,
        endpoint_id=former.id,
        interface=kept or interface_name(spec, wish, names),
        address=former.ipv4_address,
        address6=former.ipv6_address,
        mac=former.mac_address,
        mtu=drivers.of(spec).mtu(spec),
        slot=_slot(taken),
    )


def _take(space: AddressSpace, wished: Wished) -> dict[int, Interface]:
    given: dict[int, Interface] = {}
    try:
        for version, wish in ((4, wished.v4), (6, wished.v6)):
            if space.has(version):
                given[version] = space.request(version, wish)
    except BaseException:
        space.release(address.ip for address in given.values())
        raise
    return given


def plan(
    attachment: Attachment,
    spec: NetworkSpec,
    wish: EndpointSettings,
    prefix: str,
    versions: Iterable[int],
    *,
    attached: bool = True,
) -> Plan:
    """What to set up of an endpoint that has the default routes of these IP versions."""
    driver = drivers.of(spec)
    wire = driver.wire(spec, prefix)
    assert wire is not None
    addresses = [ipaddress.ip_interface(text) for text in (attachment.address, attachment.address6) if text]
    links = [_link_local(text) for text in wish.ipam_config.link_local_ips] if wish.ipam_config else []
    own = [ip for ip in attachment.ips if ip.version in versions]
    by_link = driver.routes_by_link(spec)
    hops = [] if by_link else [subnets.next_hop(spec, ip) for ip in own]
    return Plan(
        attachment.interface,
        wire,
        (*addresses, *links),
        attachment.mac,
        attachment.mtu,
        gateways=tuple(hop for hop in hops if hop is not None),
        link_routes=tuple(ip.version for ip in own) if by_link else (),
        slot=attachment.slot,
        sysctls=sysctls(wish, attachment.interface),
        attached=attached,
    )


def gateways_of(
    attachments: Iterable[Attachment],
    specs: Mapping[str, NetworkSpec],
    wishes: Mapping[str, EndpointSettings],
) -> tuple[str, str]:
    """Ids of the endpoints with the default routes of IPv4 and IPv6, as libnetwork chooses them; empty: none.

    By priority, then networks that have both versions first, then by name; internal networks never.
    """
    candidates = []
    for entry in attachments:
        spec = specs[entry.network_id]
        versions = _routed(entry, spec)
        if versions:
            candidates.append(
                (-wishes[entry.network_id].gw_priority, -len(versions), spec.name, entry.endpoint_id, versions)
            )
    candidates.sort()
    both = next((entry[3] for entry in candidates if len(entry[4]) == 2), "")
    if both:
        return both, both
    first = {version: next((entry[3] for entry in candidates if version in entry[4]), "") for version in (4, 6)}
    return first[4], first[6]


def _routed(entry: Attachment, spec: NetworkSpec) -> tuple[int, ...]:
    """IP versions in which the endpoint has a way out."""
    driver = drivers.of(spec)
    if driver.internal(spec) or not entry.interface:
        return ()
    by_link = driver.routes_by_link(spec)
    return tuple(ip.version for ip in entry.ips if by_link or subnets.next_hop(spec, ip) is not None)


def needs_way_out(specs: Iterable[NetworkSpec]) -> bool:
    """Whether a stack on these networks needs one more to reach outside (libnetwork's `needDefaultGW`)."""
    specs = tuple(specs)
    return any(spec.vni and not spec.internal for spec in specs) and not any(map(_leads_out, specs))


def _leads_out(spec: NetworkSpec) -> bool:
    driver = drivers.of(spec)
    if driver.wire(spec, "") is None or driver.internal(spec):
        return False
    return driver.routes_by_link(spec) or bool(subnets.gateways(spec))


def way_out_request(*, ipv6: bool) -> CreateRequest:
    """As dockerd makes it: its containers do not reach each other there."""
    rules = {options.ICC: "false", options.MASQUERADE: "true"}
    return CreateRequest(name=WAY_OUT, driver="bridge", enable_ipv6=ipv6, options=rules)


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
    return msgspec.structs.replace(
        shown,
        mac_address=attachment.mac,
        gateway=_shown_gateway(spec, attachment, 4),
        ip_address=str(attachment.ip(4) or ""),
        ip_prefix_len=_prefix(attachment.address),
        ipv6_gateway=_shown_gateway(spec, attachment, 6),
        global_ipv6_address=str(attachment.ip(6) or ""),
        global_ipv6_prefix_len=_prefix(attachment.address6),
        dns_names=None if spec.name in networks.PREDEFINED else tuple(names),
    )


def _shown_gateway(spec: NetworkSpec, attachment: Attachment, version: int) -> str:
    address, driver = attachment.ip(version), drivers.of(spec)
    if address is None or driver.internal(spec) or driver.routes_by_link(spec):
        return ""
    return str(subnets.next_hop(spec, address) or "")


def _prefix(text: str) -> int:
    return ipaddress.ip_interface(text).network.prefixlen if text else 0


def check_pair(spec: NetworkSpec, others: int, alone: str | None) -> None:
    """`host` and `none` cannot be had beside other networks; a configuration cannot be had at all."""
    if spec.config_only:
        raise PermissionDenied("cannot create endpoint on configuration-only network")
    if spec.driver in ("host", "null") and (spec.driver != alone or others):
        raise InvalidArgument(
            f"container cannot be connected to host network {spec.name} and others at once"
            if spec.driver == "host"
            else "container cannot be connected to multiple networks with one of them in private (none) mode"
        )
