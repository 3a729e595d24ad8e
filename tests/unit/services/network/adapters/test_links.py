"""Bridges and veth ends."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters import links, namespaces, rtnetlink
from services.network.adapters.links import HostLinks
from services.network.adapters.netlink import Netlink

pytestmark = pytest.mark.usefixtures("host_network")
ADDRESS = ipaddress.IPv4Interface("10.9.0.1/16")


@pytest.fixture
def host(host_network: None) -> Iterator[HostLinks]:
    opened = HostLinks()
    yield opened
    opened.close()


def sysctl(name: str) -> str:
    return Path("/proc/sys/net", name).read_text().strip()


def test_a_bridge_is_up_with_its_address(host: HostLinks) -> None:
    host.ensure_bridge("br0", ADDRESS, 1500)
    assert ADDRESS.network in host.routes()
    assert sysctl("ipv4/conf/br0/route_localnet") == "1"
    assert sysctl("ipv6/conf/br0/disable_ipv6") == "1"


def test_an_existing_bridge_is_put_right(host: HostLinks) -> None:
    host.ensure_bridge("br0", ADDRESS, 1500)
    before = Netlink().link("br0")
    host.ensure_bridge("br0", ipaddress.IPv4Interface("10.8.0.1/16"), 1500)
    assert Netlink().link("br0") == before
    assert ADDRESS.network not in host.routes()
    assert ipaddress.IPv4Network("10.8.0.0/16") in host.routes()


def test_another_interface_is_never_made_a_bridge(host: HostLinks) -> None:
    with pytest.raises(OSError, match="lo is another interface of the host"):
        host.ensure_bridge("lo", ADDRESS, 1500)
    assert ADDRESS.network not in host.routes()


def test_removing_what_is_not_there_is_fine(host: HostLinks) -> None:
    host.ensure_bridge("br0", ADDRESS, 1500)
    host.remove("br0")
    host.remove("br0")
    assert "br0" not in host.names()


def port_state(name: str) -> int:
    """State of a bridge port, as the kernel lists it: 0 is disabled, 3 forwarding."""
    netlink = Netlink()
    for body in netlink.dump(rtnetlink.Message(rtnetlink.RTM_GETLINK, rtnetlink.NLM_F_DUMP, b"\7" + bytes(15))):
        if rtnetlink.parse_link(body).name == name:
            port = rtnetlink.attributes(rtnetlink.attributes(body[16:])[rtnetlink.IFLA_PROTINFO])
            netlink.close()
            return port[rtnetlink.IFLA_BRPORT_STATE][0]
    raise AssertionError(f"{name} is no port")


def test_a_port_that_is_cut_off_is_closed_at_once_and_deleted_later(host: HostLinks) -> None:
    host.ensure_bridge("br0", ADDRESS, 1500)
    namespace = namespaces.create()
    index = host.add_veth("v0", "eth0", namespace.descriptor, 1500)
    host.attach(index, "br0")
    link = namespace.netlink.link("eth0")
    assert link is not None
    namespace.netlink.request(rtnetlink.set_link(link.index, up=True))
    host.cut_off("v0")
    assert port_state("v0") == 0
    assert "v0" in host.names()
    host.delete_dying()
    assert "v0" not in host.names()
    host.delete_dying()
    namespace.close()


def test_a_port_needs_its_bridge(host: HostLinks) -> None:
    with pytest.raises(OSError, match="bridge br7 does not exist"):
        host.attach(rtnetlink.LOOPBACK, "br7")


def test_cutting_off_what_is_gone_is_fine(host: HostLinks) -> None:
    host.cut_off("v7")
    assert "v7" not in host.names()


def test_forwarding_is_switched_on(host: HostLinks) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")  # a new namespace has its parent's
    links.enable_forwarding()
    assert sysctl("ipv4/ip_forward") == "1"


def test_what_the_host_tells_of_itself() -> None:
    first, last = links.ephemeral_range()
    assert 0 < first < last < 65536
    assert links.has_ipv6() == (sysctl("ipv6/conf/all/disable_ipv6") == "0")
