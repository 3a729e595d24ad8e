"""Policy routing, asked of the kernel."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Iterator

import pytest

from services.network.adapters import rtrules
from services.network.adapters.netlink import Netlink
from services.network.adapters.rtnetlink import LOOPBACK, new_address
from tests.support.host_network import own_host


@pytest.fixture
def netlink() -> Iterator[Netlink]:
    with own_host():
        made = Netlink()
        yield made
        made.close()


def shown(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("version", [4, 6])
def test_rules_come_and_go(netlink: Netlink, version: int) -> None:
    by_port = rtrules.port_rule(version, 4790, 47900, 100)
    by_mark = rtrules.mark_rule(version, 0x10, 0xF0, 47901, 101)
    netlink.request(by_port, by_mark)
    rules = shown(f"-{version}", "rule")
    assert "100:\tfrom all ipproto udp dport 4790 lookup 47900" in rules
    assert "101:\tfrom all fwmark 0x10/0xf0 lookup 47901" in rules
    with pytest.raises(FileExistsError):
        netlink.request(by_port)
    netlink.request(rtrules.rule_no_more(by_port), rtrules.rule_no_more(by_mark))
    assert "lookup 479" not in shown(f"-{version}", "rule")
    with pytest.raises(FileNotFoundError):
        netlink.request(rtrules.rule_no_more(by_port))


@pytest.mark.parametrize("text", ["10.1.2.3", "fd00::5"])
def test_routes_in_a_table_of_their_own(netlink: Netlink, text: str) -> None:
    address = ipaddress.ip_address(text)
    subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
    subprocess.run(["ip", "link", "set", "v0", "up"], check=True)
    index = socket.if_nametoindex("v0")
    netlink.request(rtrules.route(address, 500, index))
    family = f"-{address.version}"
    assert f"{text} dev v0" in shown(family, "route", "show", "table", "500")
    netlink.request(rtrules.route(address, 500, index, ipaddress.ip_address("fe80::1")))
    routes = shown(family, "route", "show", "table", "500")
    assert "fe80::1" in routes
    assert "onlink" in routes or address.version == 6
    netlink.request(rtrules.route_no_more(address, 500))
    assert text not in shown(family, "route", "show", "table", "all")


def test_all_that_a_table_gets_goes_one_way(netlink: Netlink) -> None:
    netlink.request(new_address(LOOPBACK, ipaddress.ip_interface("10.9.9.9/32")))
    netlink.request(rtrules.default_by(4, 500, LOOPBACK), rtrules.port_rule(4, 4790, 500, 100))
    assert "dev lo table 500" in shown("route", "get", "8.8.8.8", "ipproto", "udp", "dport", "4790")
    netlink.request(rtrules.route_no_more(4, 500))
    with pytest.raises(ProcessLookupError):
        netlink.request(rtrules.route_no_more(4, 500))


def test_an_interface_that_asks_for_nobody(netlink: Netlink) -> None:
    subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
    netlink.request(rtrules.without_neighbours("v0"))
    assert "NOARP" in shown("link", "show", "v0")
    assert "UP" in shown("link", "show", "v0")
