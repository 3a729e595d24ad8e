"""The encoding of rtnetlink messages. That the kernel understands them is tested with `links` and `stacks`."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.adapters import rtnetlink
from services.network.domain.drivers import Wire


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=6))
def test_attributes_are_read_as_written(wanted: dict[int, bytes]) -> None:
    data = b"".join(rtnetlink.attribute(kind, payload) for kind, payload in wanted.items())
    assert len(data) % 4 == 0
    assert rtnetlink.attributes(data) == wanted


@given(st.binary(max_size=64))
def test_damaged_attributes_end_the_reading(data: bytes) -> None:
    assert len(rtnetlink.attributes(data)) <= len(data)


def test_a_link_is_read() -> None:
    body = struct.pack("=BxHiII", 0, 1, 7, rtnetlink.IFF_UP, 0)
    body += rtnetlink.attribute(rtnetlink.IFLA_IFNAME, b"br0\0")
    body += rtnetlink.attribute(rtnetlink.IFLA_ADDRESS, bytes.fromhex("02420a000001"))
    body += rtnetlink.attribute(rtnetlink.IFLA_MASTER, struct.pack("=I", 3))
    kind = rtnetlink.attribute(rtnetlink.IFLA_INFO_KIND, b"bridge\0")
    body += rtnetlink.attribute(rtnetlink.IFLA_LINKINFO, kind)
    assert rtnetlink.parse_link(body).alias == ""
    marked = body + rtnetlink.attribute(rtnetlink.IFLA_IFALIAS, b"shl:n1\0")
    assert rtnetlink.parse_link(marked).alias == "shl:n1"
    assert rtnetlink.parse_link(body) == rtnetlink.Link(7, "br0", 3, "02:42:0a:00:00:01", True, "bridge")


def test_an_address_is_read() -> None:
    body = struct.pack("=BBBBi", 2, 16, 0, 0, 5) + rtnetlink.attribute(rtnetlink.IFA_LOCAL, bytes([172, 17, 0, 1]))
    assert rtnetlink.parse_address(body) == (5, ipaddress.ip_interface("172.17.0.1/16"))


def test_routes_are_read() -> None:
    head = struct.pack("=BBBBBBBBI", 2, 16, 0, 0, 254, 3, 0, 1, 0)
    body = head + rtnetlink.attribute(rtnetlink.RTA_DST, bytes([172, 17, 0, 0]))
    assert rtnetlink.parse_route(body) == ipaddress.IPv4Network("172.17.0.0/16")
    assert rtnetlink.parse_route(struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)) is None
    six = struct.pack("=BBBBBBBBI", 10, 64, 0, 0, 254, 3, 0, 1, 0)
    six += rtnetlink.attribute(rtnetlink.RTA_DST, ipaddress.ip_address("fd00::").packed)
    assert rtnetlink.parse_route(six) == ipaddress.IPv6Network("fd00::/64")


def test_mac_addresses_become_bytes() -> None:
    assert rtnetlink.mac_bytes("02:42:ac:11:00:02") == bytes([2, 0x42, 172, 17, 0, 2])


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (Wire("macvlan", "eth0", "bridge"), struct.pack("=HHI", 8, 1, 4)),
        (Wire("ipvlan", "eth0", "l3", "vepa"), struct.pack("=HHHxxHHHxx", 6, 1, 1, 6, 2, 2)),
    ],
)
def test_what_kernels_are_told_of_stacked_interfaces(wire: Wire, data: bytes) -> None:
    """Not every kernel has both, so the bytes are looked at."""
    message = rtnetlink.new_stacked(wire, 3, "eth0", 9, "", 0)
    found = rtnetlink.attributes(message.body[16:])
    info = rtnetlink.attributes(found[rtnetlink.IFLA_LINKINFO])
    assert info[rtnetlink.IFLA_INFO_KIND] == wire.kind.encode() + b"\0"
    assert info[rtnetlink.IFLA_INFO_DATA] == data
    assert found[rtnetlink.IFLA_LINK] == struct.pack("=I", 3)


def test_a_vlan_has_its_tag() -> None:
    found = rtnetlink.attributes(rtnetlink.new_vlan("eth0.10", 3, 10).body[16:])
    info = rtnetlink.attributes(found[rtnetlink.IFLA_LINKINFO])
    assert rtnetlink.attributes(info[rtnetlink.IFLA_INFO_DATA]) == {rtnetlink.IFLA_VLAN_ID: struct.pack("=H", 10)}
    alias = rtnetlink.attributes(rtnetlink.set_alias("eth0.10", "m").body[16:])
    assert (found[rtnetlink.IFLA_IFNAME], alias[rtnetlink.IFLA_IFALIAS]) == (b"eth0.10\0", b"m")
