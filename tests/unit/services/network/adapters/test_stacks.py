"""Network stacks of sandboxes."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters import namespaces, rtnetlink
from services.network.adapters.links import HostLinks
from services.network.adapters.netlink import Netlink
from services.network.adapters.stacks import Stacks
from services.network.domain.addresses import Subnet
from services.network.domain.drivers import HostLink, Wire
from services.network.domain.endpoints import Attachment, Plan

pytestmark = pytest.mark.usefixtures("host_network")


@pytest.fixture
def stacks(host_network: None, tmp_path: Path) -> Iterator[Stacks]:
    links = HostLinks()
    for bridge, address in (("br0", "10.9.0.1/16"), ("br1", "10.8.0.1/16")):
        links.ensure(HostLink(bridge, addresses=(ipaddress.IPv4Interface(address),)))
    opened = Stacks(links, tmp_path / "netns", "tst")
    opened.open()
    yield opened
    opened.close()
    for name in opened.pinned()[0]:
        opened.remove_file(name)
    links.close()


def plan(number: int = 2, bridge: str = "br0", slot: int = 0, mtu: int = 1500, **more: object) -> Plan:
    net = {"br0": "10.9", "br1": "10.8", "br9": "10.7"}[bridge]
    fields = {
        "name": f"eth{slot}",
        "wire": Wire(master=bridge),
        "addresses": (ipaddress.ip_interface(f"{net}.0.{number}/16"),),
        "mac": f"02:42:0a:09:00:{number:02x}",
        "mtu": mtu,
        "gateways": (ipaddress.ip_address("10.9.0.1"),) if bridge == "br0" else (),
        "slot": slot,
    }
    return Plan(**{**fields, **more})  # type: ignore[arg-type]


def entry(of: Plan) -> Attachment:
    return Attachment(
        network_id="n", network_name="n", endpoint_id="e", interface=of.name, kind=of.wire.kind, slot=of.slot
    )


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
    path = stacks.path(stacks.set_up([plan()]))
    assert stacks.ready == 0
    assert addresses(path) == {"127.0.0.1/8", "::1/128", "10.9.0.2/16"}
    namespace = namespaces.enter(path)
    link = namespace.netlink.link("eth0")
    assert link is not None
    assert (link.mac, link.up) == ("02:42:0a:09:00:02", True)
    routes = [rtnetlink.parse_route(body) for body in namespace.netlink.dump(rtnetlink.all_routes(socket.AF_INET))]
    assert None in routes
    namespace.close()
    bridge = Netlink().link("br0")
    assert bridge is not None
    assert [end.master for end in ends()] == [bridge.index]


def test_several_networks_and_another_mtu(stacks: Stacks) -> None:
    path = stacks.path(stacks.set_up([plan(mtu=1400), plan(3, "br1", 1)]))
    assert addresses(path) >= {"10.9.0.2/16", "10.8.0.3/16"}
    assert len(ends()) == 2


def test_without_interfaces_there_is_only_loopback(stacks: Stacks) -> None:
    assert addresses(stacks.path(stacks.set_up([]))) == {"127.0.0.1/8", "::1/128"}


def test_torn_down_it_is_cut_off_at_once_and_nothing_stays(stacks: Stacks) -> None:
    sandbox = stacks.set_up([plan(), plan(3, "br1", 1)])
    held = os.open(stacks.path(sandbox), os.O_RDONLY)
    stacks.tear_down(sandbox, [entry(plan()), entry(plan(slot=1))])
    assert stacks.pinned() == (frozenset(), frozenset())
    stacks.sweep()
    assert ends() == []
    stacks.tear_down(sandbox, [entry(plan()), entry(plan(slot=1))])
    os.close(held)


def test_a_failure_leaves_no_file(stacks: Stacks) -> None:
    stacks.prepare()
    for _ in range(2):
        with pytest.raises(OSError, match="interface br9 does not exist"):
            stacks.set_up([plan(bridge="br9")])
    assert stacks.pinned() == (frozenset(), frozenset())


def routes(path: Path, family: int = socket.AF_INET) -> list[Subnet | None]:
    namespace = namespaces.enter(path)
    found = [rtnetlink.parse_route(body) for body in namespace.netlink.dump(rtnetlink.all_routes(family))]
    namespace.close()
    return found


def test_an_interface_comes_to_a_stack_in_use_and_leaves_it(stacks: Stacks) -> None:
    sandbox = stacks.set_up([plan()])
    path = stacks.path(sandbox)
    second = plan(3, "br1", 1, 1400)
    stacks.add(sandbox, second)
    assert addresses(path) >= {"10.9.0.2/16", "10.8.0.3/16"}
    stacks.route(
        sandbox, [plan(gateways=()), dataclasses.replace(second, gateways=(ipaddress.ip_address("10.8.0.1"),))]
    )
    stacks.remove(sandbox, entry(plan()))
    assert addresses(path) == {"127.0.0.1/8", "::1/128", "10.8.0.3/16"}
    assert None in routes(path)
    assert len(ends()) == 1
    stacks.route(sandbox, [second])
    assert None not in routes(path)


def test_an_interface_that_cannot_come_leaves_nothing(stacks: Stacks) -> None:
    sandbox = stacks.set_up([plan()])
    for wrong in (plan(3, "br9", 1), plan(3, "br1", 1, sysctls=(("ipv4/conf/eth1/no_such", "1"),))):
        with pytest.raises(OSError, match=r"interface br9 does not exist|No such file"):
            stacks.add(sandbox, wrong)
        assert len(ends()) == 1


SIX = (ipaddress.ip_interface("10.9.0.2/16"), ipaddress.ip_interface("fd00::2/64"))


def state(path: Path, interface: str, key: str) -> str:
    return namespaces.inside(path, lambda: Path(f"/proc/sys/net/{key.replace('IF', interface)}").read_text().strip())


@pytest.mark.parametrize("ready", [0, 1])
def test_ipv6_is_on_where_there_are_addresses_of_it(stacks: Stacks, ready: int) -> None:
    for _ in range(ready):
        stacks.prepare()
    both = plan(addresses=SIX, gateways=(ipaddress.ip_address("10.9.0.1"), ipaddress.ip_address("fd00::1")))
    path = stacks.path(stacks.set_up([both, plan(3, "br1", 1)]))
    assert {"10.9.0.2/16", "fd00::2/64"} <= addresses(path)
    assert None in routes(path, socket.AF_INET6)
    assert (state(path, "eth0", "ipv6/conf/IF/accept_ra"), state(path, "eth1", "ipv6/conf/IF/disable_ipv6")) == (
        "0",
        "1",
    )


def test_interfaces_are_named_and_switched_as_asked(stacks: Stacks) -> None:
    stacks.prepare()
    path = stacks.path(
        stacks.set_up([plan(name="lan0", sysctls=(("ipv4/conf/lan0/forwarding", "1"),), addresses=SIX[:1])])
    )
    assert state(path, "lan0", "ipv4/conf/IF/forwarding") == "1"
    assert addresses(path) >= {"10.9.0.2/16"}


MACVLAN = Wire("macvlan", "br0", "bridge")


def test_an_interface_on_top_of_the_hosts(stacks: Stacks) -> None:
    stacks.prepare()
    stacked = plan(wire=MACVLAN, addresses=SIX)
    sandbox = stacks.set_up([stacked, plan(3, "br1", 1)])
    path = stacks.path(sandbox)
    assert stacks.ready == 1
    assert addresses(path) >= {"10.9.0.2/16", "fd00::2/64", "10.8.0.3/16"}
    namespace = namespaces.enter(path)
    link = namespace.netlink.link("eth0")
    namespace.close()
    assert link is not None
    assert (link.kind, link.mac, link.up) == ("macvlan", "02:42:0a:09:00:02", True)
    stacks.add(sandbox, plan(4, slot=2, wire=MACVLAN, gateways=()))
    stacks.remove(sandbox, entry(plan(slot=2, wire=MACVLAN)))
    assert "10.9.0.4/16" not in addresses(path)
    stacks.tear_down(sandbox, [entry(stacked), entry(plan(slot=1))])
    stacks.tear_down(sandbox, [entry(stacked)])
    assert stacks.pinned() == (frozenset(), frozenset())


def test_what_the_kernel_does_not_have_is_told(stacks: Stacks) -> None:
    """Kernels without ipvlan refuse it, with it a bridge is no good parent of its own port's: either way it is said."""
    with pytest.raises(OSError, match=r"failed to create the ipvlan port|interface nope does not exist"):
        stacks.set_up([plan(wire=Wire("ipvlan", "nope", "l2", "bridge"))])


def test_a_stack_made_ahead_that_somebody_broke_is_passed_over(stacks: Stacks) -> None:
    for _ in range(2):
        stacks.prepare()
    links = HostLinks()
    for end in ends():
        links.remove(end.name)
    links.close()
    assert addresses(stacks.path(stacks.set_up([plan()]))) >= {"10.9.0.2/16"}
    assert len(stacks.pinned()[0]) == 1


def test_what_is_made_ahead_has_no_file_and_ends_with_its_maker(stacks: Stacks) -> None:
    stacks.prepare()
    assert stacks.ready == 1
    assert stacks.pinned()[0] == frozenset()
    stacks.close()
    assert stacks.ready == 0
