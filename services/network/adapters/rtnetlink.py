"""Messages of rtnetlink(7), encoded: links, addresses, routes. Values to bytes; the socket is in `netlink`.

Only what this service asks for. Constants are those of <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from dataclasses import dataclass

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x100, 0x200, 0x400, 0x300
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_PROTINFO, IFLA_LINKINFO, IFLA_GROUP, IFLA_NET_NS_FD = (
    1, 3, 4, 10, 12, 18, 27, 28,
)  # fmt: skip
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFLA_BRPORT_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_FLUSH = 1, 4, 24
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST, RT_SCOPE_UNIVERSE = 254, 3, 1, 0
LOOPBACK = 1
"""Interface index of `lo` in every network namespace."""

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Message:
    """One request: type, flags beyond REQUEST and ACK, body without the netlink header."""

    kind: int
    flags: int
    body: bytes


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", len(payload) + 4, kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message by type, flags of the type removed."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _link(index: int = 0, flags: int = 0, change: int = 0, family: int = socket.AF_UNSPEC) -> bytes:
    return struct.pack("=BxHiII", family, 0, index, flags, change)


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _nested(kind: int, *inner: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def mac_bytes(mac: str) -> bytes:
    """Six bytes of `02:42:ac:11:00:02`."""
    return bytes.fromhex(mac.replace(":", ""))


def new_bridge(name: str, mac: str, mtu: int) -> Message:
    """A bridge that is up. Its own address keeps it from taking that of its lowest port."""
    info = _nested(IFLA_LINKINFO, _text(IFLA_INFO_KIND, "bridge"))
    own = _text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac_bytes(mac)) + _number(IFLA_MTU, mtu)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _link(0, IFF_UP, IFF_UP) + own + info)


def new_veth(name: str, peer: str, namespace: int, mtu: int) -> Message:
    """A veth pair: `name` here and up, `peer` down in the namespace of that descriptor."""
    peer_end = _link() + _text(IFLA_IFNAME, peer) + _number(IFLA_NET_NS_FD, namespace) + _number(IFLA_MTU, mtu)
    data = _nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER | NLA_F_NESTED, peer_end))
    info = _nested(IFLA_LINKINFO, _text(IFLA_INFO_KIND, "veth"), data)
    own = _link(0, IFF_UP, IFF_UP) + _text(IFLA_IFNAME, name) + _number(IFLA_MTU, mtu)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, own + info)


def set_link(
    index: int = 0,
    *,
    name: str = "",
    rename: str = "",
    up: bool | None = None,
    mac: str = "",
    mtu: int = 0,
    master: int | None = None,
    group: int | None = None,
) -> Message:
    """Changes a link, found by index or by `name`; the kernel applies all else before it goes up."""
    parts = [_link(index, IFF_UP if up else 0, 0 if up is None else IFF_UP)]
    parts += [_text(IFLA_IFNAME, rename or name)] if rename or name else []
    parts += [attribute(IFLA_ADDRESS, mac_bytes(mac))] if mac else []
    parts += [_number(IFLA_MTU, mtu)] if mtu else []
    parts += [_number(IFLA_MASTER, master)] if master is not None else []
    parts += [_number(IFLA_GROUP, group)] if group is not None else []
    return Message(RTM_NEWLINK, 0, b"".join(parts))


def hairpin(index: int) -> Message:
    """A bridge port that may send frames back where they came from, as a container's own published port needs."""
    port = _nested(IFLA_PROTINFO, attribute(IFLA_BRPORT_MODE, b"\1"))
    return Message(RTM_SETLINK, 0, _link(index, family=socket.AF_BRIDGE) + port)


def close_port(index: int) -> Message:
    """Bridge port state disabled and its learned addresses forgotten: frames stop at once, nothing is waited for."""
    port = _nested(IFLA_PROTINFO, attribute(IFLA_BRPORT_STATE, b"\0"), attribute(IFLA_BRPORT_FLUSH, b""))
    return Message(RTM_SETLINK, 0, _link(index, family=socket.AF_BRIDGE) + port)


def delete_link(index: int = 0, name: str = "") -> Message:
    """Deletes a link, found by index or by name."""
    return Message(RTM_DELLINK, 0, _link(index) + (_text(IFLA_IFNAME, name) if name else b""))


def delete_group(group: int) -> Message:
    """Deletes all links of a group at once: the kernel waits for its readers once, not once per link."""
    return Message(RTM_DELLINK, 0, _link() + _number(IFLA_GROUP, group))


def new_address(index: int, address: Interface) -> Message:
    """Adds the address; present already: nothing changes."""
    head = struct.pack("=BBBBi", _family(address), address.network.prefixlen, 0, 0, index)
    body = attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    if isinstance(address, ipaddress.IPv4Interface) and address.network.prefixlen < 31:
        body += attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, head + body)


def delete_address(index: int, address: Interface) -> Message:
    """Takes an address from an interface."""
    head = struct.pack("=BBBBi", _family(address), address.network.prefixlen, 0, 0, index)
    return Message(RTM_DELADDR, 0, head + attribute(IFA_LOCAL, address.packed))


def default_route(gateway: Address, index: int) -> Message:
    """A default route through the gateway; one through another is replaced."""
    head = struct.pack(
        "=BBBBBBBBI", _family(gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0
    )
    return Message(
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
        head + attribute(RTA_GATEWAY, gateway.packed) + _number(RTA_OIF, index),
    )  # fmt: skip


def get_link(name: str) -> Message:
    """Asks for one link."""
    return Message(RTM_GETLINK, 0, _link() + _text(IFLA_IFNAME, name))


def all_links() -> Message:
    """Asks for all links."""
    return Message(RTM_GETLINK, NLM_F_DUMP, _link())


def all_addresses() -> Message:
    """Asks for the addresses of all links."""
    return Message(RTM_GETADDR, NLM_F_DUMP, struct.pack("=BBBBi", 0, 0, 0, 0, 0))


def all_routes() -> Message:
    """Asks for all IPv4 routes."""
    return Message(RTM_GETROUTE, NLM_F_DUMP, struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))


def _family(address: Interface | Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


@dataclass(frozen=True)
class Link:
    """One network interface as the kernel lists it."""

    index: int
    name: str
    master: int
    mac: str
    up: bool
    kind: str
    """`bridge`, `veth` and so on; empty for hardware."""


def parse_link(body: bytes) -> Link:
    """Of the body of an RTM_NEWLINK answer."""
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    found = attributes(body[16:])
    name = found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
    master = int.from_bytes(found.get(IFLA_MASTER, b""), sys.byteorder)
    kind = attributes(found.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode()
    return Link(index, name, master, found.get(IFLA_ADDRESS, b"").hex(":"), bool(flags & IFF_UP), kind)


def parse_address(body: bytes) -> tuple[int, Interface]:
    """Interface index and address of the body of an RTM_NEWADDR answer."""
    _, prefix, _, _, index = struct.unpack_from("=BBBBi", body)
    found = attributes(body[8:])
    address = ipaddress.ip_address(found.get(IFA_LOCAL) or found[IFA_ADDRESS])
    return index, ipaddress.ip_interface(f"{address}/{prefix}")


def parse_route(body: bytes) -> ipaddress.IPv4Network | None:
    """Destination of an IPv4 route in any table; None for a default route."""
    length = body[1]
    destination = attributes(body[12:]).get(RTA_DST)
    return ipaddress.IPv4Network((destination, length)) if destination else None
