"""The engine's own nftables table, in nft's language (nft(8)), as text made of checked values only.

Rules never change while the engine runs: what comes and goes are elements of sets and maps, so that publishing
a port is one element, whatever the number of containers. Another administrator's table is never touched, and
what it drops stays dropped; own rules go into a base chain of an own table at a lower priority.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from .publishing import Forward

_TABLE = """\
table inet {name} {{
	set bridges {{ type ifname; }}
	set internal {{ type ifname; }}
	set icc {{ type ifname . ifname; }}
	set outgoing {{ type ipv4_addr; flags interval; }}
	set hairpin {{ type ifname . ipv4_addr; flags interval; }}
	map publish {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
	map publish_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}

	chain publish_port {{
		meta l4proto {{ tcp, udp, sctp }} dnat ip to ip daddr . meta l4proto . th dport map @publish
		meta l4proto {{ tcp, udp, sctp }} dnat ip to meta l4proto . th dport map @publish_any
	}}
	chain raw {{
		type filter hook prerouting priority raw; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 drop comment "route_localnet is not for containers"
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr != 127.0.0.0/8 fib daddr type local jump publish_port
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		meta nfproto ipv4 fib daddr type local jump publish_port
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		oifname @bridges ip saddr 127.0.0.0/8 masquerade comment "the host's loopback to a published port"
		oifname . ip saddr @hairpin ct status dnat masquerade comment "a neighbour through a published port"
		ip saddr @outgoing oifname != @bridges masquerade
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname . oifname @icc accept
		iifname @internal drop
		oifname @internal drop
		ct state established,related accept
		oifname @bridges ct status dnat accept
		oifname @bridges drop comment "networks are isolated"
	}}
}}
"""


@dataclass(frozen=True)
class BridgeRules:
    """What the table knows of one bridge network."""

    interface: str
    subnet: ipaddress.IPv4Network
    masquerade: bool = True
    icc: bool = True
    internal: bool = False


def table(name: str, bridges: Iterable[BridgeRules], forwards: Iterable[Forward]) -> str:
    """The whole table; replaces one of the same name in a single transaction, so there is no moment without it."""
    begin = f"table inet {name}\ndelete table inet {name}\n" + _TABLE.format(name=name)
    return begin + "".join(add_bridge(name, bridge) for bridge in bridges) + add_forwards(name, forwards)


def remove_table(name: str) -> str:
    """Takes the whole table away; none there is fine."""
    return f"table inet {name}\ndelete table inet {name}\n"


def add_bridge(name: str, bridge: BridgeRules) -> str:
    """Makes a bridge known."""
    return _bridge("add", name, bridge)


def remove_bridge(name: str, bridge: BridgeRules) -> str:
    """Makes a known bridge unknown."""
    return _bridge("delete", name, bridge)


def _bridge(verb: str, name: str, bridge: BridgeRules) -> str:
    interface = f'"{bridge.interface}"'
    elements = {
        "bridges": interface,
        "hairpin": f"{interface} . {bridge.subnet}",
        "internal": interface if bridge.internal else "",
        "icc": f"{interface} . {interface}" if bridge.icc else "",
        "outgoing": str(bridge.subnet) if bridge.masquerade and not bridge.internal else "",
    }
    return "".join(
        f"{verb} element inet {name} {where} {{ {element} }}\n" for where, element in elements.items() if element
    )


def add_forwards(name: str, forwards: Iterable[Forward]) -> str:
    """Publishes ports; those the kernel cannot forward (IPv6 to IPv4) are left out."""
    return _forwards("add", name, forwards)


def remove_forwards(name: str, forwards: Iterable[Forward]) -> str:
    """Takes published ports back."""
    return _forwards("delete", name, forwards)


def _forwards(verb: str, name: str, forwards: Iterable[Forward]) -> str:
    places: dict[str, list[str]] = {"publish": [], "publish_any": []}
    for forward in forwards:
        if forward.host.version != 4 or forward.target.version != 4:
            continue
        everywhere = int(forward.host) == 0
        key = f"{forward.protocol} . {forward.host_port}"
        key = key if everywhere else f"{forward.host} . {key}"
        places["publish_any" if everywhere else "publish"].append(f"{key} : {forward.target} . {forward.target_port}")
    return "".join(
        f"{verb} element inet {name} {where} {{ {', '.join(elements)} }}\n"
        for where, elements in places.items()
        if elements
    )
