"""The engine's own table in the kernel."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest

from services.network.adapters.firewall import Firewall
from services.network.adapters.nftables import Nftables
from services.network.domain.publishing import ANY4, Forward
from services.network.domain.ruleset import BridgeRules
from shared.errors import Internal

pytestmark = pytest.mark.usefixtures("host_network")
A = ipaddress.ip_address
BRIDGE = BridgeRules("br0", ipaddress.IPv4Network("10.9.0.0/16"))
PORT = Forward("tcp", ANY4, 8080, A("10.9.0.2"), 80)
LOCAL = Forward("udp", A("127.0.0.1"), 53, A("10.9.0.2"), 53)


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
    for internal in (False, True):
        bridge = BridgeRules("br0", BRIDGE.subnet, internal=internal)
        firewall.add_bridge(bridge)
        firewall.publish([PORT, LOCAL])
        assert listed() != empty
        firewall.unpublish([PORT, LOCAL])
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
