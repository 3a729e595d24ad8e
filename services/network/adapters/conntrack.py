"""Connection tracking (<linux/netfilter/nfnetlink_conntrack.h>): forgetting where datagrams used to go.

A UDP client that goes on sending keeps its entry, and with it the way to a container that is gone, or past one that
has come. So entries of a published UDP port are deleted when it comes and when it goes, as dockerd does.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator

from ..domain.publishing import Forward
from .netlink import Netlink
from .rtnetlink import NLA_F_NESTED, NLM_F_DUMP, Message, attribute, attributes

CT_GET, CT_DELETE = 0x101, 0x102
CTA_TUPLE_ORIG, CTA_ZONE = 1, 18
CTA_TUPLE_PROTO, CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 2, 1, 3
_HEADER = struct.pack("=BBH", socket.AF_INET, 0, 0)
NETLINK_NETFILTER = 12


class Conntrack:
    """The table of the network namespace in which this was made. Methods wait for the kernel: call in a thread."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_NETFILTER)

    def close(self) -> None:
        self._netlink.close()

    def forget(self, forwards: Collection[Forward]) -> None:
        """Deletes the entries of datagrams to these published ports. Without UDP among them nothing is done."""
        ports = {forward.host_port for forward in forwards if forward.protocol == "udp"}
        for entry in self._entries() if ports else ():
            if _udp_port(entry[CTA_TUPLE_ORIG]) in ports:
                self._delete(entry)

    def _entries(self) -> Iterator[dict[int, bytes]]:
        for body in self._netlink.dump(Message(CT_GET, NLM_F_DUMP, _HEADER)):
            found = attributes(body[4:])
            if CTA_TUPLE_ORIG in found:
                yield found

    def _delete(self, entry: dict[int, bytes]) -> None:
        body = _HEADER + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, entry[CTA_TUPLE_ORIG])
        if CTA_ZONE in entry:
            body += attribute(CTA_ZONE, entry[CTA_ZONE])
        try:
            self._netlink.request(Message(CT_DELETE, 0, body))
        except FileNotFoundError:
            return  # it timed out meanwhile


def _udp_port(tuple_: bytes) -> int:
    """The port that a datagram was first sent to; 0 for another protocol."""
    protocol = attributes(attributes(tuple_).get(CTA_TUPLE_PROTO, b""))
    if protocol.get(CTA_PROTO_NUM) != bytes([socket.IPPROTO_UDP]):
        return 0
    return int.from_bytes(protocol.get(CTA_PROTO_DST_PORT, b""), "big")
