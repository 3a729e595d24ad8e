"""Messages of rtnetlink(7) about policy routing: rules, and routes in tables of their own (ip-rule(8), ip-route(8)).

Constants are those of <linux/fib_rules.h> and <linux/rtnetlink.h>.
"""

from __future__ import annotations

import socket
import struct

from ..domain.addresses import Address
from .rtnetlink import (
    IFLA_IFNAME,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTA_DST,
    RTA_OIF,
    RTM_DELROUTE,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTN_UNICAST,
    Message,
    attribute,
)

RTM_NEWRULE, RTM_DELRULE = 32, 33
FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_IP_PROTO, FRA_DPORT_RANGE = 6, 10, 15, 16, 22, 24
FR_ACT_TO_TBL = 1
RTA_TABLE, RTA_VIA = 15, 18
RTPROT_STATIC, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTNH_F_ONLINK = 4, 0, 253, 4
IFF_UP, IFF_NOARP = 0x1, 0x80


def port_rule(version: int, port: int, table: int, priority: int) -> Message:
    """UDP packets to the port are routed by that table."""
    body = attribute(FRA_IP_PROTO, bytes([socket.IPPROTO_UDP]))
    body += attribute(FRA_DPORT_RANGE, struct.pack("=HH", port, port))
    return _rule(version, table, priority, body)


def mark_rule(version: int, mark: int, mask: int, table: int, priority: int) -> Message:
    """Packets with the mark are routed by that table."""
    return _rule(version, table, priority, _number(FRA_FWMARK, mark) + _number(FRA_FWMASK, mask))


def rule_no_more(rule: Message) -> Message:
    """Takes a rule back."""
    return Message(RTM_DELRULE, 0, rule.body)


def next_rule_no_more(version: int, priority: int) -> Message:
    """Takes the first rule of a priority back, whatever it says; `ENOENT` where there is none."""
    return Message(RTM_DELRULE, 0, struct.pack("=B11x", _family(version)) + _number(FRA_PRIORITY, priority))


def _rule(version: int, table: int, priority: int, body: bytes) -> Message:
    head = struct.pack("=BBBBBBBBI", _family(version), 0, 0, 0, 0, 0, 0, FR_ACT_TO_TBL, 0)
    body = head + _number(FRA_TABLE, table) + _number(FRA_PRIORITY, priority) + body
    return Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, body)


def default_by(version: int, table: int, index: int) -> Message:
    """In the table, everything goes to that interface."""
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route(version, 0, table, RT_SCOPE_LINK, index))


def route(address: Address | int, table: int, index: int, via: Address | None = None) -> Message:
    """In the table, the address (or all of that IP version) is reached by the interface, through `via` there if given.

    The next hop may be of IPv6 for both (RFC 5549), and is taken to be on the link.
    """
    version, length = (address, 0) if isinstance(address, int) else (address.version, address.max_prefixlen)
    body = b"" if isinstance(address, int) else attribute(RTA_DST, address.packed)
    if via is not None and via.version == version:
        body += attribute(5, via.packed)
    elif via is not None:
        body += attribute(RTA_VIA, struct.pack("=H", socket.AF_INET6) + via.packed)
    scope, flags = (RT_SCOPE_LINK, 0) if via is None else (RT_SCOPE_UNIVERSE, RTNH_F_ONLINK)
    return Message(
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route(version, length, table, scope, index, flags) + body
    )


def route_no_more(address: Address | int, table: int) -> Message:
    """Takes the route back, whatever it leads to."""
    version, length = (address, 0) if isinstance(address, int) else (address.version, address.max_prefixlen)
    head = struct.pack("=BBBBBBBBI", _family(version), length, 0, 0, 0, 0, 255, 0, 0)
    body = b"" if isinstance(address, int) else attribute(RTA_DST, address.packed)
    return Message(RTM_DELROUTE, 0, head + _number(RTA_TABLE, table) + body)


def _route(version: int, length: int, table: int, scope: int, index: int, flags: int = 0) -> bytes:
    head = struct.pack("=BBBBBBBBI", _family(version), length, 0, 0, 0, RTPROT_STATIC, scope, RTN_UNICAST, flags)
    return head + _number(RTA_TABLE, table) + _number(RTA_OIF, index)


def without_neighbours(name: str) -> Message:
    """The interface goes up and asks for nobody: all is at its own address."""
    body = struct.pack("=BxHiII", 0, 0, 0, IFF_UP | IFF_NOARP, IFF_UP | IFF_NOARP)
    return Message(RTM_NEWLINK, 0, body + attribute(IFLA_IFNAME, name.encode() + b"\0"))


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6
