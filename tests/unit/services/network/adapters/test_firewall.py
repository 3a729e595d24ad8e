"""The engine's own table in the kernel."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest

from services.network.adapters.firewall import Firewall
from services.network.adapters.nftables import Nftables
from services.network.domain.publishing import ANY4, ANY6, Forward
from services.network.domain.ruleset import BridgeRules, Family
from shared.errors import Internal

pytestmark = pytest.mark.usefixtures("host_network")
A = ipaddress.ip_address
NET, NET6 = ipaddress.IPv4Network("10.9.0.0/16"), ipaddress.IPv6Network("fd00::/64")
BRIDGE = BridgeRules("br0", (Family(NET), Family(NET6)))
PORT = Forward("tcp", ANY4, 8080, A("10.9.0.2"), 80)
LOCAL = Forward("udp", A("127.0.0.1"), 53, A("10.9.0.2"), 53)
SIX = Forward("tcp", ANY6, 8080, A("fd00::2"), 80)
SIX_LOCAL = Forward("udp", A("fd00::1"), 53, A("fd00::2"), 53)
DIRECT = Forward("sctp", ANY4, 0, A("10.9.0.2"), 80)
PORTS = [PORT, LOCAL, SIX, SIX_LOCAL, DIRECT]


@pytest.fixture
def firewall(host_network: None) -> Iterator[Firewall]:
    opened = Firewall("t0")
    yield opened
    opened.close()


def listed() -> str:
    return Nftables().run("list ruleset")


def test_the_table_is_accepted_by_the_kernel_and_replaced_as_a_whole(firewall: Firewall) -> None:
    firewall.replace([BRIDGE], [PORT, LOCAL])
    first = listed()
    assert "tcp . 8080 : 10.9.0.2 . 80" in first
    assert "127.0.0.1 . udp . 53 : 10.9.0.2 . 53" in first
    firewall.replace([BRIDGE], [])
    assert "8080" not in listed()
    assert listed().count("table inet t0") == 1


def test_ports_and_bridges_come_and_go(firewall: Firewall) -> None:
    firewall.replace([], [])
    empty = listed()
    for bridge in (
        BRIDGE,
        BridgeRules("br0", BRIDGE.families, internal=True, trusted=("eth1",)),
        BridgeRules("br0", (Family(NET, "routed"), Family(NET6, "nat-unprotected", A("fd01::1")))),
        BridgeRules("br0", (Family(NET, source=A("192.0.2.1")),), icc=False),
    ):
        firewall.add_bridge(bridge)
        firewall.publish(PORTS)
        assert listed() != empty
        firewall.unpublish(PORTS)
        firewall.remove_bridge(bridge)
        assert listed() == empty


def test_nothing_to_publish_is_nothing_to_do(firewall: Firewall) -> None:
    firewall.publish([])
    assert listed() == ""


def test_other_tables_are_left_alone(firewall: Firewall) -> None:
    Nftables().run("add table inet admins; add chain inet admins c")
    firewall.replace([BRIDGE], [PORT])
    firewall.remove()
    assert listed().startswith("table inet admins")
    assert "t0" not in listed()


def test_unpublishing_what_is_not_there_fails(firewall: Firewall) -> None:
    firewall.replace([BRIDGE], [])
    with pytest.raises(Internal, match="nftables"):
        firewall.unpublish([PORT])


def test_ports_are_led_elsewhere_in_one_go(firewall: Firewall) -> None:
    firewall.replace([BRIDGE], PORTS)
    other = Forward("tcp", ANY4, 8080, A("10.9.0.3"), 80)
    firewall.republish(PORTS, [other, *PORTS[1:]], cut=True)
    assert "tcp . 8080 : 10.9.0.3 . 80" in listed()
    assert "fd00::2 . 80" in listed()
    firewall.republish([other, *PORTS[1:]], [])
    assert "8080" not in listed()
    firewall.republish([], [])
