"""Bridges and veth ends."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters import namespaces, rtnetlink
from services.network.adapters.links import HostLinks
from services.network.adapters.netlink import Netlink
from services.network.domain.drivers import HostLink, Wire
from shared.errors import InvalidArgument

pytestmark = pytest.mark.usefixtures("host_network")
ADDRESS = ipaddress.IPv4Interface("10.9.0.1/16")
ADDRESS6 = ipaddress.IPv6Interface("fd00::1/64")
BRIDGE = HostLink("br0", addresses=(ADDRESS,), mark="tst:n1")


@pytest.fixture
def host(host_network: None) -> Iterator[HostLinks]:
    opened = HostLinks()
    yield opened
    opened.close()


def sysctl(name: str) -> str:
    return Path("/proc/sys/net", name).read_text().strip()


def test_a_bridge_is_up_with_its_address(host: HostLinks) -> None:
    host.ensure(BRIDGE)
    assert ADDRESS.network in host.routes()
    assert sysctl("ipv4/conf/br0/route_localnet") == "1"
    assert sysctl("ipv6/conf/br0/disable_ipv6") == "1"


def test_an_existing_bridge_is_put_right(host: HostLinks) -> None:
    host.ensure(BRIDGE)
    before = Netlink().link("br0")
    host.ensure(HostLink("br0", addresses=(ipaddress.IPv4Interface("10.8.0.1/16"),)))
    assert Netlink().link("br0") == before
    assert ADDRESS.network not in host.routes()
    assert ipaddress.IPv4Network("10.8.0.0/16") in host.routes()


def test_another_interface_is_never_made_a_bridge(host: HostLinks) -> None:
    with pytest.raises(InvalidArgument, match="existing interface lo is not a bridge"):
        host.ensure(HostLink("lo", addresses=(ADDRESS,)))
    assert ADDRESS.network not in host.routes()


def test_removing_what_is_not_there_is_fine(host: HostLinks) -> None:
    host.ensure(BRIDGE)
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
    host.ensure(BRIDGE)
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
    with pytest.raises(OSError, match="interface br7 does not exist"):
        host.attach(rtnetlink.LOOPBACK, "br7")


def test_cutting_off_what_is_gone_is_fine(host: HostLinks) -> None:
    host.cut_off("v7")
    assert "v7" not in host.names()


def addresses(name: str) -> set[str]:
    netlink = Netlink()
    link = netlink.link(name)
    found = [rtnetlink.parse_address(body) for body in netlink.dump(rtnetlink.all_addresses())]
    netlink.close()
    assert link is not None
    return {str(address) for index, address in found if index == link.index}


def test_a_bridge_of_both_families(host: HostLinks) -> None:
    host.ensure(HostLink("br0", addresses=(ADDRESS, ADDRESS6), ipv6=True))
    host.ensure(HostLink("br0", addresses=(ADDRESS, ADDRESS6), ipv6=True))
    assert {"10.9.0.1/16", "fd00::1/64", "fe80::1/64"} <= addresses("br0")
    assert ADDRESS6.network in host.routes()
    assert sysctl("ipv6/conf/br0/accept_ra") == "0"


def test_what_was_made_for_a_network_says_so(host: HostLinks) -> None:
    host.ensure(BRIDGE)
    host.ensure(HostLink("br1"))
    assert host.marked() == {"br0": "tst:n1"}


def test_anothers_bridge_keeps_its_addresses(host: HostLinks) -> None:
    host.ensure(HostLink("br0", addresses=(ipaddress.IPv4Interface("10.8.0.1/16"),)))
    host.ensure(BRIDGE, own=False)
    assert {"10.8.0.1/16", "10.9.0.1/16"} <= addresses("br0")


def test_an_interface_of_the_networks_own_leads_nowhere(host: HostLinks) -> None:
    """Also on kernels without dummy interfaces."""
    host.ensure(HostLink("tst-0", kind="dummy", mark="tst:n1"))
    link = Netlink().link("tst-0")
    assert link is not None
    assert (link.up, link.alias, link.kind in ("dummy", "bridge")) == (True, "tst:n1", True)
    host.ensure(HostLink("tst-0", kind="dummy"))


def test_a_vlan_is_made_or_refused_in_dockerds_words(host: HostLinks) -> None:
    host.ensure(BRIDGE)
    wanted = HostLink("br0.10", kind="vlan", under="br0", vlan=10)
    said = ""
    try:
        host.ensure(wanted)
    except OSError as error:
        said = str(error.strerror)
    assert ("br0.10" in host.names()) == (not said)
    assert said.startswith("failed to create br0.10 vlan link: " if said else "")


def test_a_parent_has_to_be_there(host: HostLinks) -> None:
    host.ensure(HostLink("lo", kind=""))
    with pytest.raises(OSError, match="interface nope0 does not exist"):
        host.ensure(HostLink("nope0", kind=""))
    with pytest.raises(OSError, match="interface nope0 does not exist"):
        host.ensure(HostLink("nope0.7", kind="vlan", under="nope0", vlan=7))


def test_an_interface_on_top_of_another(host: HostLinks) -> None:
    host.ensure(BRIDGE)
    namespace = namespaces.create()
    host.add_stacked(Wire("macvlan", "br0", "bridge"), "lan0", namespace.descriptor, "02:42:00:00:00:07", 1400)
    link = namespace.netlink.link("lan0")
    assert link is not None
    assert (link.kind, link.mac) == ("macvlan", "02:42:00:00:00:07")
    with pytest.raises(OSError, match="failed to create the macvlan port: File exists"):
        host.add_stacked(Wire("macvlan", "br0", "bridge"), "lan0", namespace.descriptor, "", 0)
    namespace.close()


def isolated(name: str) -> int:
    netlink = Netlink()
    for body in netlink.dump(rtnetlink.Message(rtnetlink.RTM_GETLINK, rtnetlink.NLM_F_DUMP, b"\7" + bytes(15))):
        if rtnetlink.parse_link(body).name == name:
            port = rtnetlink.attributes(rtnetlink.attributes(body[16:])[rtnetlink.IFLA_PROTINFO])
            netlink.close()
            return port[rtnetlink.IFLA_BRPORT_ISOLATED][0]
    raise AssertionError(f"{name} is no port")


@pytest.mark.parametrize("apart", [False, True])
def test_ports_may_be_apart(host: HostLinks, apart: bool) -> None:
    host.ensure(BRIDGE)
    namespace = namespaces.create()
    host.attach(host.add_veth("v0", "eth0", namespace.descriptor, 1500), "br0", isolated=apart)
    assert isolated("v0") == apart
    namespace.close()
