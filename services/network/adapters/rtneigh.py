"""Messages of rtnetlink(7) about neighbours: forwarding entries of bridges and VXLAN interfaces, ARP and ND entries.

Constants are those of <linux/neighbour.h>.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from ..domain.addresses import Address
from .rtnetlink import NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, Message, attribute, attributes, mac_bytes

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NDA_DST, NDA_LLADDR = 1, 2
NTF_SELF, NTF_MASTER = 2, 4
NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x40, 0x80
STATIC = NUD_REACHABLE | NUD_NOARP
"""Does not age, yet a frame from another port moves it: what `bridge fdb add ... static` makes."""


def _neighbour(family: int, index: int, state: int = 0, flags: int = 0) -> bytes:
    return struct.pack("=BxHiHBB", family, 0, index, state, flags, 0)


def forward(index: int, mac: str, host: Address) -> Message:
    """A VXLAN interface sends frames for the MAC to that host."""
    body = attribute(NDA_LLADDR, mac_bytes(mac)) + attribute(NDA_DST, host.packed)
    head = _neighbour(socket.AF_BRIDGE, index, STATIC, NTF_SELF)
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, head + body)


def forward_no_more(index: int, mac: str) -> Message:
    """Takes back `forward`."""
    head = _neighbour(socket.AF_BRIDGE, index, flags=NTF_SELF)
    return Message(RTM_DELNEIGH, 0, head + attribute(NDA_LLADDR, mac_bytes(mac)))


def behind_port(index: int, mac: str) -> Message:
    """The bridge of this port sends frames for the MAC to it, until one from there comes by another port."""
    head = _neighbour(socket.AF_BRIDGE, index, STATIC, NTF_MASTER)
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, head + attribute(NDA_LLADDR, mac_bytes(mac)))


def behind_port_no_more(index: int, mac: str) -> Message:
    """Takes back `behind_port`; an entry that moved to another port stays."""
    head = _neighbour(socket.AF_BRIDGE, index, flags=NTF_MASTER)
    return Message(RTM_DELNEIGH, 0, head + attribute(NDA_LLADDR, mac_bytes(mac)))


def neighbour(index: int, address: Address, mac: str) -> Message:
    """The address is at that MAC."""
    head = _neighbour(_family(address), index, NUD_PERMANENT)
    body = attribute(NDA_DST, address.packed) + attribute(NDA_LLADDR, mac_bytes(mac))
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, head + body)


def neighbour_no_more(index: int, address: Address) -> Message:
    """Takes back `neighbour`."""
    return Message(RTM_DELNEIGH, 0, _neighbour(_family(address), index) + attribute(NDA_DST, address.packed))


def all_forwards() -> Message:
    """Asks for the forwarding entries of all bridges and VXLAN interfaces."""
    return Message(RTM_GETNEIGH, NLM_F_DUMP, _neighbour(socket.AF_BRIDGE, 0))


def all_neighbours(family: int) -> Message:
    """Asks for the ARP or ND entries of all interfaces."""
    return Message(RTM_GETNEIGH, NLM_F_DUMP, _neighbour(family, 0))


def parse_forward(body: bytes, index: int) -> tuple[str, Address] | None:
    """MAC and host of an entry that `forward` made on the interface; None for any other."""
    _, _, at, _, flags, _ = struct.unpack_from("=BxHiHBB", body)
    found = attributes(body[12:])
    if at != index or not flags & NTF_SELF or NDA_DST not in found or NDA_LLADDR not in found:
        return None
    return found[NDA_LLADDR].hex(":"), ipaddress.ip_address(found[NDA_DST])


def parse_neighbour(body: bytes, index: int) -> tuple[Address, str] | None:
    """Address and MAC of an entry that `neighbour` made on the interface; None for any other."""
    _, _, at, state, _, _ = struct.unpack_from("=BxHiHBB", body)
    found = attributes(body[12:])
    if at != index or not state & NUD_PERMANENT or NDA_LLADDR not in found:
        return None
    return ipaddress.ip_address(found[NDA_DST]), found[NDA_LLADDR].hex(":")


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
