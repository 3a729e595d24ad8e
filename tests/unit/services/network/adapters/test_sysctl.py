"""Switches of the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.network.adapters import sysctl
from services.network.adapters.netlink import Netlink
from services.network.adapters.rtnetlink import new_bridge

pytestmark = pytest.mark.usefixtures("host_network")


@pytest.fixture
def bridge(host_network: None) -> str:
    netlink = Netlink()
    netlink.request(new_bridge("br0", "02:42:00:00:00:01", 1500))
    netlink.close()
    return "br0"


def test_forwarding_is_switched_on() -> None:
    sysctl.write("ipv4/ip_forward", "0")  # a new namespace has its parent's
    sysctl.enable_forwarding()
    assert sysctl.read("ipv4/ip_forward") == "1"


def test_a_host_that_listens_to_routers_goes_on(bridge: str) -> None:
    sysctl.write("ipv6/conf/all/forwarding", "0")
    sysctl.write(f"ipv6/conf/{bridge}/accept_ra", "1")
    sysctl.enable_forwarding(ipv6=True)
    sysctl.enable_forwarding(ipv6=True)
    assert (sysctl.read("ipv6/conf/all/forwarding"), sysctl.read(f"ipv6/conf/{bridge}/accept_ra")) == ("1", "2")


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_bridge_is_as_dockerds(bridge: str, ipv6: bool) -> None:
    sysctl.configure_bridge(bridge, ipv6=ipv6)
    found = [sysctl.read(f"ipv6/conf/{bridge}/{key}") for key in ("accept_ra", "disable_ipv6")]
    assert found == ["0", "0" if ipv6 else "1"]
    assert sysctl.read(f"ipv4/conf/{bridge}/route_localnet") == "1"


def test_a_switch_that_is_not_there() -> None:
    assert sysctl.read("ipv4/no_such") == ""
    sysctl.write("ipv4/no_such", "1")
    with pytest.raises(FileNotFoundError):
        sysctl.write("ipv4/no_such", "1", there=True)


def test_what_the_host_tells_of_itself() -> None:
    first, last = sysctl.ephemeral_range()
    assert 0 < first < last < 65536
    switch = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").read_text().strip()
    assert sysctl.has_ipv6() == (switch == "0")
