"""macvlan and ipvlan."""

from __future__ import annotations

import pytest

from services.network.domain.drivers import HostLink, Wire
from services.network.domain.drivers.macvlan import IPVLAN, MACVLAN, Stacked, parse_vlan
from shared.contracts.network import NetworkSpec
from shared.errors import InvalidArgument


def network(**options: str) -> NetworkSpec:
    return NetworkSpec(id="n" * 64, name="lan", created=0, driver="macvlan", options=options)


@pytest.mark.parametrize(
    ("driver", "options", "text"),
    [
        (MACVLAN, {"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
        (IPVLAN, {"parent": "lo"}, "loopback interface is not a valid ipvlan parent link"),
        (
            MACVLAN,
            {"macvlan_mode": "x"},
            "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
        ),
        (
            IPVLAN,
            {"ipvlan_mode": "x"},
            "requested ipvlan mode 'x' is not valid, 'l2' mode is the ipvlan driver default",
        ),
        (IPVLAN, {"ipvlan_flag": "x"}, "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default"),
        (MACVLAN, {"parent": "a/b"}, "invalid value for parent: 'a/b' is not the name of an interface"),
    ],
)
def test_refusals(driver: Stacked, options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        driver.check(options, False)
    assert caught.value.message == text


def test_the_parent_is_there_or_a_vlan_of_one_that_is() -> None:
    assert MACVLAN.link(network(parent="eth0"), "shl", ["eth0"]) == HostLink("eth0", kind="")
    made = MACVLAN.link(network(parent="eth0.10"), "shl", ["eth0"])
    assert (made.kind, made.under, made.vlan, made.mark) == ("vlan", "eth0", 10, "shl:" + "n" * 64)
    assert MACVLAN.link(network(parent="odd.name.x"), "shl", ["odd.name.x"]).kind == ""
    assert MACVLAN.link(network(), "shl", ()).kind == "dummy"
    assert MACVLAN.interface(network(), "shl") == "shl-nnnnnnnnnn"
    with pytest.raises(InvalidArgument, match="-o parent interface was not found on the host: eth9"):
        MACVLAN.link(network(parent="eth9.10"), "shl", ["eth0"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nope0", "invalid subinterface vlan name nope0, example formatting is eth0.10"),
        ("a.b.c", "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received a.b.c"),
        ("eth0.x", "unable to parse a valid vlan id from: x"),
        ("eth0.5000", "vlan id must be between 1-4094, received: 5000"),
        ("eth0.0", "vlan id must be between 1-4094, received: 0"),
    ],
)
def test_names_that_are_no_vlan(name: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        parse_vlan(name)


def test_without_a_parent_there_is_no_way_out() -> None:
    assert MACVLAN.internal(network())
    assert not MACVLAN.internal(network(parent="eth0"))
    assert MACVLAN.has_gateway({"parent": "eth0"}, False, 4)
    for options, internal in (({}, False), ({"parent": "eth0"}, True)):
        assert not MACVLAN.has_gateway(options, internal, 4)


def test_endpoints_are_on_top_of_the_parent() -> None:
    assert MACVLAN.wire(network(parent="eth0"), "shl") == Wire("macvlan", "eth0", "bridge")
    assert MACVLAN.wire(network(macvlan_mode="vepa"), "shl") == Wire("macvlan", "shl-nnnnnnnnnn", "vepa")
    assert IPVLAN.wire(network(parent="eth0"), "shl") == Wire("ipvlan", "eth0", "l2", "bridge")


def test_layer_three_needs_no_gateway() -> None:
    routed = network(parent="eth0", ipvlan_mode="l3s")
    assert IPVLAN.routes_by_link(routed)
    assert not IPVLAN.has_gateway(routed.options, False, 4)
    assert not IPVLAN.routes_by_link(network(parent="eth0"))


def test_who_shares_a_parent() -> None:
    plain, alone = network(parent="eth0"), network(parent="eth0", macvlan_mode="passthru")
    assert MACVLAN.conflict(plain, plain) == ""
    assert MACVLAN.conflict(alone, plain).startswith("cannot use mode passthru, macvlan network nnnn")
    assert MACVLAN.conflict(plain, alone).endswith("is already using parent interface eth0 in mode passthru")
    assert IPVLAN.conflict(plain, plain) == "network di-nnnnnnnnnnnn is already using parent interface eth0"


def test_several_subnets_or_none_are_fine() -> None:
    MACVLAN.check_subnets((4, 4, 6), ipv4=True, ipv6=True)
    MACVLAN.check_subnets((), ipv4=False, ipv6=False)
    assert MACVLAN.rules(network(), "shl") is None
    assert not MACVLAN.publishes
