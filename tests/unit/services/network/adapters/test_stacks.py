"""Network stacks of sandboxes."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters import namespaces, rtnetlink
from services.network.adapters.links import HostLinks
from services.network.adapters.netlink import Netlink
from services.network.adapters.stacks import Stacks
from services.network.domain.sandboxes import Interface

pytestmark = pytest.mark.usefixtures("host_network")


@pytest.fixture
def stacks(host_network: None, tmp_path: Path) -> Iterator[Stacks]:
    links = HostLinks()
    for bridge, address in (("br0", "10.9.0.1/16"), ("br1", "10.8.0.1/16")):
        links.ensure_bridge(bridge, ipaddress.IPv4Interface(address), 1500)
    opened = Stacks(links, tmp_path / "netns", "tst")
    opened.open()
    yield opened
    opened.close()
    for name in opened.pinned()[0]:
        opened.remove_file(name)
    links.close()


def interface(number: int = 2, bridge: str = "br0", name: str = "eth0", mtu: int = 1500) -> Interface:
    net = {"br0": "10.9", "br1": "10.8"}[bridge]
    address = ipaddress.IPv4Interface(f"{net}.0.{number}/16")
    route = ipaddress.IPv4Address("10.9.0.1") if bridge == "br0" else None
    return Interface(name, bridge, address, f"02:42:0a:09:00:{number:02x}", mtu, route)


def ends() -> list[rtnetlink.Link]:
    return [link for link in Netlink().links() if link.kind == "veth"]


def addresses(path: Path) -> set[str]:
    namespace = namespaces.enter(path)
    found = {str(rtnetlink.parse_address(body)[1]) for body in namespace.netlink.dump(rtnetlink.all_addresses())}
    namespace.close()
    return found


@pytest.mark.parametrize("ready", [0, 1])
def test_a_stack_has_its_interface_address_and_route(stacks: Stacks, ready: int) -> None:
    for _ in range(ready):
        stacks.prepare()
    path = stacks.path(stacks.set_up([interface()]))
    assert stacks.ready == 0
    assert addresses(path) == {"127.0.0.1/8", "::1/128", "10.9.0.2/16"}
    namespace = namespaces.enter(path)
    link = namespace.netlink.link("eth0")
    assert link is not None
    assert (link.mac, link.up) == ("02:42:0a:09:00:02", True)
    routes = [rtnetlink.parse_route(body) for body in namespace.netlink.dump(rtnetlink.all_routes())]
    assert None in routes
    namespace.close()
    bridge = Netlink().link("br0")
    assert bridge is not None
    assert [end.master for end in ends()] == [bridge.index]


def test_several_networks_and_another_mtu(stacks: Stacks) -> None:
    path = stacks.path(stacks.set_up([interface(mtu=1400), interface(3, "br1", "eth1")]))
    assert addresses(path) >= {"10.9.0.2/16", "10.8.0.3/16"}
    assert len(ends()) == 2


def test_without_interfaces_there_is_only_loopback(stacks: Stacks) -> None:
    assert addresses(stacks.path(stacks.set_up([]))) == {"127.0.0.1/8", "::1/128"}


def test_torn_down_it_is_cut_off_at_once_and_nothing_stays(stacks: Stacks) -> None:
    sandbox = stacks.set_up([interface(), interface(3, "br1", "eth1")])
    held = os.open(stacks.path(sandbox), os.O_RDONLY)
    stacks.tear_down(sandbox, ["eth0", "eth1"])
    assert stacks.pinned() == (frozenset(), frozenset())
    stacks.sweep()
    assert ends() == []
    stacks.tear_down(sandbox, ["eth0", "eth1"])
    os.close(held)


def test_a_failure_leaves_no_file(stacks: Stacks) -> None:
    stacks.prepare()
    with pytest.raises(KeyError):
        stacks.set_up([interface(bridge="br9")])
    wrong = Interface("eth0", "br9", ipaddress.IPv4Interface("10.9.0.2/16"), "02:42:00:00:00:01", 1500)
    with pytest.raises(OSError, match="bridge br9 does not exist"):
        stacks.set_up([wrong])
    assert stacks.pinned() == (frozenset(), frozenset())


def test_an_interface_comes_to_a_stack_in_use_and_leaves_it(stacks: Stacks) -> None:
    sandbox = stacks.set_up([interface()])
    path = stacks.path(sandbox)
    second = Interface("eth1", "br1", ipaddress.IPv4Interface("10.8.0.3/16"), "02:42:0a:08:00:03", 1400)
    stacks.add(sandbox, second)
    assert addresses(path) >= {"10.9.0.2/16", "10.8.0.3/16"}
    stacks.route(sandbox, dataclasses.replace(second, route=ipaddress.IPv4Address("10.8.0.1")))
    stacks.remove(sandbox, "eth0")
    assert addresses(path) == {"127.0.0.1/8", "::1/128", "10.8.0.3/16"}
    namespace = namespaces.enter(path)
    assert None in [rtnetlink.parse_route(body) for body in namespace.netlink.dump(rtnetlink.all_routes())]
    namespace.close()
    assert len(ends()) == 1


def test_an_interface_that_cannot_come_leaves_nothing(stacks: Stacks) -> None:
    sandbox = stacks.set_up([interface()])
    wrong = Interface("eth1", "br9", ipaddress.IPv4Interface("10.8.0.3/16"), "02:42:0a:08:00:03", 1500)
    with pytest.raises(OSError, match="bridge br9 does not exist"):
        stacks.add(sandbox, wrong)
    assert len(ends()) == 1


def test_a_stack_made_ahead_that_somebody_broke_is_passed_over(stacks: Stacks) -> None:
    for _ in range(2):
        stacks.prepare()
    links = HostLinks()
    for end in ends():
        links.remove(end.name)
    links.close()
    assert addresses(stacks.path(stacks.set_up([interface()]))) >= {"10.9.0.2/16"}
    assert len(stacks.pinned()[0]) == 1


def test_what_is_made_ahead_has_no_file_and_ends_with_its_maker(stacks: Stacks) -> None:
    stacks.prepare()
    assert stacks.ready == 1
    assert stacks.pinned()[0] == frozenset()
    stacks.close()
    assert stacks.ready == 0
