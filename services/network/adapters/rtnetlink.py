"""Messages of rtnetlink(7), encoded: links, addresses, routes. Values to bytes; the socket is in `netlink`.

Only what this service asks for. Constants are those of <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from dataclasses import dataclass

from ..domain.addresses import Address, Interface, Subnet
from ..domain.drivers import Wire

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x100, 0x200, 0x400, 0x300
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_PROTINFO = 1, 3, 4, 5, 10, 12
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP, IFLA_NET_NS_FD = 18, 20, 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFLA_VLAN_ID, IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS = 1, 1, 1, 2
IFLA_VXLAN_ID, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING, IFLA_VXLAN_PROXY = 1, 4, 7, 11
IFLA_VXLAN_PORT, IFLA_VXLAN_LOCAL6 = 15, 17
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES, IPVLAN_FLAGS = {"l2": 0, "l3": 1, "l3s": 2}, {"bridge": 0, "private": 1, "vepa": 2}
IFLA_BRPORT_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_FLUSH, IFLA_BRPORT_ISOLATED = 1, 4, 24, 33
IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD = 8, 9
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 2
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 254, 3, 1, 0, 253
LOOPBACK = 1
"""Interface index of `lo` in every network namespace."""


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
    """A bridge that is up. An own address keeps it from taking that of its lowest port."""
    own = attribute(IFLA_ADDRESS, mac_bytes(mac)) if mac else b""
    own += _number(IFLA_MTU, mtu) if mtu else b""
    return _new_link(name, "bridge", own)


def new_dummy(name: str) -> Message:
    """An interface that leads nowhere."""
    return _new_link(name, "dummy", b"")


def new_vlan(name: str, under: int, tag: int) -> Message:
    """An 802.1q interface on top of another."""
    return _new_link(name, "vlan", _number(IFLA_LINK, under), attribute(IFLA_VLAN_ID, _short(tag)))


def new_vxlan(name: str, vni: int, local: Address, port: int, mtu: int, master: int) -> Message:
    """A VXLAN interface (RFC 7348) that is down, a port of the bridge `master`.

    It learns nothing and has nowhere to flood to: whom it does not know it does not reach. It answers ARP and
    neighbour discovery for those it knows (`proxy`).
    """
    own = _number(IFLA_MTU, mtu) + _number(IFLA_MASTER, master)
    data = _number(IFLA_VXLAN_ID, vni)
    data += attribute(IFLA_VXLAN_LOCAL if local.version == 4 else IFLA_VXLAN_LOCAL6, local.packed)
    data += attribute(IFLA_VXLAN_LEARNING, b"\0") + attribute(IFLA_VXLAN_PROXY, b"\1")
    data += attribute(IFLA_VXLAN_PORT, struct.pack(">H", port))
    return _new_link(name, "vxlan", own, data, up=False)


def uplink_port(index: int) -> Message:
    """A bridge port behind which are other hosts: addresses are told, not learnt; unknown ones are not sent there."""
    off = [attribute(kind, b"\0") for kind in (IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD)]
    return Message(RTM_SETLINK, 0, _link(index, family=socket.AF_BRIDGE) + _nested(IFLA_PROTINFO, *off))


def set_alias(name: str, alias: str) -> Message:
    """Writes on a link what it is for; the kernel does not take this together with a new one."""
    return Message(RTM_NEWLINK, 0, _link() + _text(IFLA_IFNAME, name) + attribute(IFLA_IFALIAS, alias.encode()))


def new_stacked(wire: Wire, parent: int, name: str, namespace: int, mac: str, mtu: int) -> Message:
    """A macvlan or ipvlan interface of the parent here, `name` in the namespace of that descriptor, down there."""
    own = _number(IFLA_LINK, parent) + _number(IFLA_NET_NS_FD, namespace)
    own += attribute(IFLA_ADDRESS, mac_bytes(mac)) if mac else b""
    own += _number(IFLA_MTU, mtu) if mtu else b""
    if wire.kind == "macvlan":
        data = _number(IFLA_MACVLAN_MODE, MACVLAN_MODES[wire.mode])
    else:
        data = attribute(IFLA_IPVLAN_MODE, _short(IPVLAN_MODES[wire.mode]))
        data += attribute(IFLA_IPVLAN_FLAGS, _short(IPVLAN_FLAGS[wire.flag]))
    return _new_link(name, wire.kind, own, data, up=False)


def _new_link(name: str, kind: str, own: bytes, data: bytes = b"", *, up: bool = True) -> Message:
    info = _nested(IFLA_LINKINFO, _text(IFLA_INFO_KIND, kind), _nested(IFLA_INFO_DATA, data) if data else b"")
    head = _link(0, IFF_UP, IFF_UP) if up else _link()
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, head + _text(IFLA_IFNAME, name) + own + info)


def _short(value: int) -> bytes:
    return struct.pack("=H", value)


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


def bridge_port(index: int, *, isolated: bool = False) -> Message:
    """A bridge port that may send frames back where they came from, as a container's own published port needs.

    An isolated one passes no frame to other isolated ports.
    """
    parts = [attribute(IFLA_BRPORT_MODE, b"\1")] + ([attribute(IFLA_BRPORT_ISOLATED, b"\1")] if isolated else [])
    return Message(RTM_SETLINK, 0, _link(index, family=socket.AF_BRIDGE) + _nested(IFLA_PROTINFO, *parts))


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
    """Adds the address; present already: nothing changes. It is ours: nobody is asked whether they have it."""
    flags = IFA_F_NODAD if address.version == 6 else 0
    head = struct.pack("=BBBBi", _family(address), address.network.prefixlen, flags, 0, index)
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
    return _default(
        _family(gateway), RT_SCOPE_UNIVERSE, attribute(RTA_GATEWAY, gateway.packed) + _number(RTA_OIF, index)
    )


def link_route(version: int, index: int) -> Message:
    """A default route to the interface itself: everybody is asked for there."""
    return _default(socket.AF_INET if version == 4 else socket.AF_INET6, RT_SCOPE_LINK, _number(RTA_OIF, index))


def _default(family: int, scope: int, attributes_: bytes) -> Message:
    head = struct.pack("=BBBBBBBBI", family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, head + attributes_)


def delete_default_route(version: int) -> Message:
    """Takes the default route away."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBBBBBI", family, 0, 0, 0, RT_TABLE_MAIN, 0, 255, 0, 0)  # 255: of whatever scope
    return Message(RTM_DELROUTE, 0, head)


def get_link(name: str) -> Message:
    """Asks for one link."""
    return Message(RTM_GETLINK, 0, _link() + _text(IFLA_IFNAME, name))


def all_links() -> Message:
    """Asks for all links."""
    return Message(RTM_GETLINK, NLM_F_DUMP, _link())


def all_addresses() -> Message:
    """Asks for the addresses of all links."""
    return Message(RTM_GETADDR, NLM_F_DUMP, struct.pack("=BBBBi", 0, 0, 0, 0, 0))


def all_routes(family: int) -> Message:
    """Asks for all routes of an address family."""
    return Message(RTM_GETROUTE, NLM_F_DUMP, struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0))


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
    alias: str = ""
    mtu: int = 0


def parse_link(body: bytes) -> Link:
    """Of the body of an RTM_NEWLINK answer."""
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    found = attributes(body[16:])
    name = found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
    master = int.from_bytes(found.get(IFLA_MASTER, b""), sys.byteorder)
    kind = attributes(found.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode()
    alias = found.get(IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace")
    mtu = int.from_bytes(found.get(IFLA_MTU, b""), sys.byteorder)
    return Link(index, name, master, found.get(IFLA_ADDRESS, b"").hex(":"), bool(flags & IFF_UP), kind, alias, mtu)


def parse_address(body: bytes) -> tuple[int, Interface]:
    """Interface index and address of the body of an RTM_NEWADDR answer."""
    _, prefix, _, _, index = struct.unpack_from("=BBBBi", body)
    found = attributes(body[8:])
    address = ipaddress.ip_address(found.get(IFA_LOCAL) or found[IFA_ADDRESS])
    return index, ipaddress.ip_interface(f"{address}/{prefix}")


def parse_route(body: bytes) -> Subnet | None:
    """Destination of a route in any table; None for a default route."""
    length = body[1]
    destination = attributes(body[12:]).get(RTA_DST)
    return ipaddress.ip_network((destination, length)) if destination else None
