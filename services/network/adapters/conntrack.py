"""Connection tracking (<linux/netfilter/nfnetlink_conntrack.h>): forgetting where datagrams used to go.

A UDP client that goes on sending keeps its entry, and with it the way to a container that is gone, or past one that
has come. So entries of a published UDP port are deleted when it comes and when it goes, as dockerd does. Of a port
that is taken from a running container all entries are: its streams end as well.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection, Iterator

from ..domain.addresses import Address
from ..domain.publishing import Forward
from .netlink import Netlink
from .rtnetlink import NLA_F_NESTED, NLM_F_DUMP, Message, attribute, attributes

CT_GET, CT_DELETE = 0x101, 0x102
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ZONE = 1, 2, 18
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_PROTO_NUM = 1, 2, 1
CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST = 1, 2, 3, 4
SRC, DST = 2, 3
"""CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT."""
NETLINK_NETFILTER = 12
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


class Conntrack:
    """The table of the network namespace in which this was made. Methods wait for the kernel: call in a thread."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_NETFILTER)

    def close(self) -> None:
        self._netlink.close()

    def forget(self, forwards: Collection[Forward]) -> None:
        """Deletes the entries of datagrams to these published ports. Without UDP among them nothing is done."""
        ports = {(socket.IPPROTO_UDP, forward.host_port) for forward in forwards if forward.protocol == "udp"}
        self._delete_where(forwards if ports else (), lambda entry: _port(entry, CTA_TUPLE_ORIG, DST) in ports)

    def cut(self, forwards: Collection[Forward]) -> None:
        """Deletes the entries of all that came through these published ports, which ends it."""
        ends = {(f.host_port, f.target.packed, (_PROTOCOLS[f.protocol], f.target_port)) for f in forwards}
        self._delete_where(forwards, lambda entry: _end(entry) in ends)

    def meet(self, addresses: Collection[Address]) -> None:
        """Deletes the entries of what comes to these addresses as they are: streams have gone on elsewhere since, and
        are no more what the entries take them for.
        """
        packed = {address.packed for address in addresses}
        for family in {socket.AF_INET if address.version == 4 else socket.AF_INET6 for address in addresses}:
            for entry in self._entries(family):
                if _address(entry, CTA_TUPLE_ORIG, CTA_IP_V4_DST, CTA_IP_V6_DST) in packed:
                    self._delete(family, entry)

    def _delete_where(self, forwards: Collection[Forward], chosen: Callable[[dict[int, bytes]], bool]) -> None:
        for family in {socket.AF_INET if f.target.version == 4 else socket.AF_INET6 for f in forwards}:
            for entry in self._entries(family):
                if chosen(entry):
                    self._delete(family, entry)

    def _entries(self, family: int) -> Iterator[dict[int, bytes]]:
        for body in self._netlink.dump(Message(CT_GET, NLM_F_DUMP, _header(family))):
            found = attributes(body[4:])
            if CTA_TUPLE_ORIG in found:
                yield found

    def _delete(self, family: int, entry: dict[int, bytes]) -> None:
        body = _header(family) + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, entry[CTA_TUPLE_ORIG])
        if CTA_ZONE in entry:
            body += attribute(CTA_ZONE, entry[CTA_ZONE])
        try:
            self._netlink.request(Message(CT_DELETE, 0, body))
        except FileNotFoundError:
            return  # it timed out meanwhile


def _header(family: int) -> bytes:
    return struct.pack("=BBH", family, 0, 0)


def _port(entry: dict[int, bytes], direction: int, kind: int) -> tuple[int, int]:
    """Protocol and port of one end of a connection."""
    found = attributes(attributes(entry.get(direction, b"")).get(CTA_TUPLE_PROTO, b""))
    return int.from_bytes(found.get(CTA_PROTO_NUM, b"")), int.from_bytes(found.get(kind, b""))


def _address(entry: dict[int, bytes], direction: int, v4: int, v6: int) -> bytes:
    found = attributes(attributes(entry.get(direction, b"")).get(CTA_TUPLE_IP, b""))
    return found.get(v4) or found.get(v6, b"")


def _end(entry: dict[int, bytes]) -> tuple[int, bytes, tuple[int, int]]:
    """The port that a client connected to, and who answers it: address, protocol and port."""
    address = _address(entry, CTA_TUPLE_REPLY, CTA_IP_V4_SRC, CTA_IP_V6_SRC)
    return _port(entry, CTA_TUPLE_ORIG, DST)[1], address, _port(entry, CTA_TUPLE_REPLY, SRC)
