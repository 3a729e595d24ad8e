"""The engine's own nftables table, in nft's language (nft(8)), as text made of checked values only.

Rules never change while the engine runs: what comes and goes are elements of sets and maps, so that publishing
a port is one element, whatever the number of containers. Another administrator's table is never touched, and
what it drops stays dropped; own rules go into a base chain of an own table at a lower priority.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .addresses import Address, Subnet
from .publishing import ANY4, ANY6, Forward

MESH_MASK = 0xFFF00000
"""Bits of packets' and connections' marks for the routing mesh: all of them on the way to the container, else the
number of the host to which answers go back."""
_FAMILY_SETS = """\
	set outgoing{v} {{ type {a}; flags interval; }}
	set hairpin{v} {{ type ifname . {a}; flags interval; }}
	set open{v} {{ type ifname; }}
	set routed{v} {{ type ifname; }}
	set direct{v} {{ type {a} . inet_proto . inet_service; }}
	map source{v} {{ type {a} : {a}; flags interval; }}
	map publish{v} {{ type {a} . inet_proto . inet_service : {a} . inet_service; }}
	map publish_any{v} {{ type inet_proto . inet_service : {a} . inet_service; }}
	map mesh{v} {{ type inet_proto . inet_service : {a} . inet_service; }}
	map mesh_here{v} {{ type inet_proto . inet_service : {a} . inet_service; }}
	set meshed{v} {{ type {a} . inet_proto . inet_service; }}
"""
_TABLE = (
    """\
table inet {name} {{
	set bridges {{ type ifname; }}
	set internal {{ type ifname; }}
	set allowed {{ type ifname . ifname; }}
	set apart {{ type ifname; }}
	set mesh_link {{ type ifname; }}
	map mesh_peers {{ type ether_addr : mark; }}
	set mesh_ports {{ type inet_proto . inet_service; }}
	set mesh_home {{ type ipv4_addr . ipv4_addr; }}
"""
    + _FAMILY_SETS.format(v=4, a="ipv4_addr").replace("{", "{{").replace("}", "}}")
    + _FAMILY_SETS.format(v=6, a="ipv6_addr").replace("{", "{{").replace("}", "}}")
    + """
	chain mesh_port {{
		meta l4proto {{ tcp, udp, sctp }} dnat ip to meta l4proto . th dport map @mesh4
		meta l4proto {{ tcp, udp, sctp }} dnat ip6 to meta l4proto . th dport map @mesh6
	}}
	chain publish_port {{
		meta l4proto {{ tcp, udp, sctp }} dnat ip to ip daddr . meta l4proto . th dport map @publish4
		meta l4proto {{ tcp, udp, sctp }} dnat ip6 to ip6 daddr . meta l4proto . th dport map @publish6
		iifname != @bridges meta l4proto {{ tcp, udp, sctp }} dnat ip to meta l4proto . th dport map @mesh_here4
		iifname != @bridges meta l4proto {{ tcp, udp, sctp }} dnat ip6 to meta l4proto . th dport map @mesh_here6
		meta l4proto {{ tcp, udp, sctp }} dnat ip to meta l4proto . th dport map @publish_any4
		meta l4proto {{ tcp, udp, sctp }} dnat ip6 to meta l4proto . th dport map @publish_any6
		jump mesh_port
	}}
	chain mesh_back {{
		type filter hook prerouting priority mangle; policy accept;
		iifname @mesh_link ip daddr . meta l4proto . th dport @meshed4 ct mark set ether saddr map @mesh_peers
		iifname @mesh_link ip6 daddr . meta l4proto . th dport @meshed6 ct mark set ether saddr map @mesh_peers
		ip saddr . meta l4proto . th sport @meshed4 iifname != @mesh_link meta mark set ct mark and {mesh_mask}
		ip6 saddr . meta l4proto . th sport @meshed6 iifname != @mesh_link meta mark set ct mark and {mesh_mask}
	}}
	chain mesh_there {{
		type filter hook prerouting priority -90; policy accept;
		iifname @mesh_link ip daddr . meta l4proto . th dport @meshed4 meta mark set {mesh_mask}
		iifname @mesh_link ip6 daddr . meta l4proto . th dport @meshed6 meta mark set {mesh_mask}
		ct status dnat ip daddr . meta l4proto . th dport @meshed4 meta mark set {mesh_mask}
		ct status dnat ip6 daddr . meta l4proto . th dport @meshed6 meta mark set {mesh_mask}
	}}
	chain mesh_own {{
		type filter hook output priority mangle; policy accept;
		fib daddr type local meta l4proto . th dport @mesh_ports meta mark set {mesh_mask}
	}}
	chain raw {{
		type filter hook prerouting priority raw; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 drop comment "route_localnet is not for containers"
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 127.0.0.0/8 accept
		iifname @apart fib daddr type local jump mesh_port
		iifname @apart accept comment "relayed: where bridges are filtered, ports that are apart stay apart behind DNAT"
		fib daddr type local jump publish_port
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		ip6 daddr ::1 accept comment "cannot leave the host: relayed"
		fib daddr type local jump publish_port
	}}
	chain mesh_sent {{
		type filter hook postrouting priority 110; policy accept;
		oifname @mesh_link tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		meta mark {mesh_mask} tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu comment "it may move"
		oifname @mesh_link meta mark set 0x0 comment "VXLAN's own packets are routed by it, too"
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		meta mark {mesh_mask} ct status dnat iifname @bridges masquerade comment "their addresses mean others elsewhere"
		oifname @mesh_link ip saddr 127.0.0.0/8 masquerade
		oifname @mesh_link ip saddr . ip daddr @mesh_home masquerade comment "the container's host by another"
		oifname @mesh_link accept
		oifname @bridges ip saddr 127.0.0.0/8 masquerade comment "the host's loopback to a published port"
		oifname . ip saddr @hairpin4 ct status dnat masquerade comment "a neighbour through a published port"
		oifname . ip6 saddr @hairpin6 ct status dnat masquerade
		oifname lo accept comment "from the host to itself"
		oifname @bridges accept
		snat ip to ip saddr map @source4
		snat ip6 to ip6 saddr map @source6
		ip saddr @outgoing4 masquerade
		ip6 saddr @outgoing6 masquerade
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		meta mark & {mesh_mask} != 0 accept comment "routing mesh"
		iifname . oifname @allowed accept
		iifname @internal drop
		oifname @internal drop
		oifname != @bridges accept
		ct state established,related accept
		ct status dnat accept
		ip daddr . meta l4proto . th dport @direct4 accept
		ip6 daddr . meta l4proto . th dport @direct6 accept
		meta nfproto ipv4 oifname @open4 accept
		meta nfproto ipv6 oifname @open6 accept
		meta l4proto icmp oifname @routed4 accept
		meta l4proto icmpv6 oifname @routed6 accept
		drop comment "networks are isolated"
	}}
}}
"""
)


@dataclass(frozen=True)
class Family:
    """One subnet of a bridge network.

    `mode` is Docker's gateway mode. `source`: the address that its packets leave the host with; None: the host's.
    """

    subnet: Subnet
    mode: str = "nat"
    source: Address | None = None


@dataclass(frozen=True)
class BridgeRules:
    """What the table knows of one bridge network. From `trusted` interfaces its containers are reached directly."""

    interface: str
    families: tuple[Family, ...] = ()
    masquerade: bool = True
    icc: bool = True
    internal: bool = False
    trusted: tuple[str, ...] = ()


def table(name: str, bridges: Iterable[BridgeRules], forwards: Iterable[Forward]) -> str:
    """The whole table; replaces one of the same name in a single transaction, so there is no moment without it."""
    begin = f"table inet {name}\ndelete table inet {name}\n" + _TABLE.format(name=name, mesh_mask=hex(MESH_MASK))
    return begin + "".join(add_bridge(name, bridge) for bridge in bridges) + add_forwards(name, forwards)


def add_mesh(name: str, elements: Iterable[tuple[str, str]]) -> str:
    """Ports of the routing mesh, as places and elements (`domain.mesh`)."""
    return _elements("add", name, elements)


def remove_mesh(name: str, elements: Iterable[tuple[str, str]]) -> str:
    """Takes them back."""
    return _elements("delete", name, elements)


def led(elements: Iterable[tuple[str, str]]) -> list[Forward]:
    """Those of the routing mesh's elements that lead ports to containers, as published ports at all addresses."""
    found = []
    for place, text in elements:
        if place in ("mesh4", "mesh6"):
            protocol, port, target, target_port = text.replace(" : ", " . ").split(" . ")
            host = ANY4 if place == "mesh4" else ANY6
            found.append(Forward(protocol, host, int(port), ipaddress.ip_address(target), int(target_port)))
    return found


def remove_table(name: str) -> str:
    """Takes the whole table away; none there is fine."""
    return f"table inet {name}\ndelete table inet {name}\n"


def add_bridge(name: str, bridge: BridgeRules) -> str:
    """Makes a bridge known."""
    return _elements("add", name, _of_bridge(bridge))


def remove_bridge(name: str, bridge: BridgeRules) -> str:
    """Makes a known bridge unknown."""
    return _elements("delete", name, _of_bridge(bridge))


def _of_bridge(bridge: BridgeRules) -> Iterator[tuple[str, str]]:
    """Set and element."""
    interface = f'"{bridge.interface}"'
    yield "bridges", interface
    if bridge.internal:
        yield "internal", interface
    yield ("allowed", f"{interface} . {interface}") if bridge.icc else ("apart", interface)
    for trusted in bridge.trusted:
        yield "allowed", f'"{trusted}" . {interface}'
    for family in bridge.families:
        yield from _of_family(bridge, family)


def _of_family(bridge: BridgeRules, family: Family) -> Iterator[tuple[str, str]]:
    interface, version = f'"{bridge.interface}"', family.subnet.version
    yield f"hairpin{version}", f"{interface} . {family.subnet}"
    if family.mode == "nat-unprotected":
        yield f"open{version}", interface
    if family.mode == "routed":
        yield f"routed{version}", interface
    elif bridge.masquerade and not bridge.internal:
        if family.source is None:
            yield f"outgoing{version}", str(family.subnet)
        else:
            yield f"source{version}", f"{family.subnet} : {family.source}"


def add_forwards(name: str, forwards: Iterable[Forward]) -> str:
    """Publishes ports; those the kernel cannot forward (from one IP version to another) are left out."""
    return _elements("add", name, map(_of_forward, filter(by_kernel, forwards)))


def remove_forwards(name: str, forwards: Iterable[Forward]) -> str:
    """Takes published ports back."""
    return _elements("delete", name, map(_of_forward, filter(by_kernel, forwards)))


def by_kernel(forward: Forward) -> bool:
    """Whether the kernel leads clients to the container, so that it sees their addresses."""
    return forward.host.version == forward.target.version


def _of_forward(forward: Forward) -> tuple[str, str]:
    version, target = forward.host.version, f"{forward.target} . {forward.target_port}"
    if not forward.host_port:
        return f"direct{version}", f"{forward.target} . {forward.protocol} . {forward.target_port}"
    if not int(forward.host):
        return f"publish_any{version}", f"{forward.protocol} . {forward.host_port} : {target}"
    return f"publish{version}", f"{forward.host} . {forward.protocol} . {forward.host_port} : {target}"


def _elements(verb: str, name: str, elements: Iterable[tuple[str, str]]) -> str:
    places: dict[str, list[str]] = {}
    for place, element in elements:
        places.setdefault(place, []).append(element)
    return "".join(f"{verb} element inet {name} {place} {{ {', '.join(found)} }}\n" for place, found in places.items())
