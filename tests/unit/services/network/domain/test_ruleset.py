"""The nftables table as text. That the kernel takes it is tested with the firewall adapter."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import ruleset
from services.network.domain.publishing import ANY4, ANY6, Forward
from services.network.domain.ruleset import BridgeRules, Family

A = ipaddress.ip_address
NET, NET6 = ipaddress.IPv4Network("172.17.0.0/16"), ipaddress.IPv6Network("fd00:17::/64")
BRIDGE = BridgeRules("shoal0", (Family(NET), Family(NET6)))
FORWARDS = st.builds(
    Forward,
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.ip_addresses(),
    st.integers(0, 65535),
    st.ip_addresses(),
    st.integers(1, 65535),
)
BRIDGES = st.builds(
    BridgeRules,
    st.sampled_from(["br0", "br1"]),
    st.tuples(
        st.builds(Family, st.just(NET), st.sampled_from(["nat", "routed", "nat-unprotected", "isolated"])),
        st.builds(Family, st.just(NET6), st.sampled_from(["nat", "routed"]), st.none() | st.just(A("fd00::1"))),
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), ("eth1",), ("eth1", "eth2")]),
)


def test_a_port_on_all_addresses_and_one_on_a_single_one() -> None:
    forwards = [
        Forward("tcp", ANY4, 8080, A("172.17.0.2"), 80),
        Forward("tcp", ANY6, 8080, A("fd00:17::2"), 80),
        Forward("udp", A("127.0.0.1"), 53, A("172.17.0.2"), 5353),
    ]
    assert ruleset.add_forwards("shoal", forwards) == (
        "add element inet shoal publish_any4 { tcp . 8080 : 172.17.0.2 . 80 }\n"
        "add element inet shoal publish_any6 { tcp . 8080 : fd00:17::2 . 80 }\n"
        "add element inet shoal publish4 { 127.0.0.1 . udp . 53 : 172.17.0.2 . 5353 }\n"
    )


def test_the_kernel_forwards_no_ipv6_to_ipv4() -> None:
    assert ruleset.add_forwards("shoal", [Forward("tcp", ANY6, 80, A("172.17.0.2"), 80)]) == ""


def test_a_port_that_is_reached_directly_is_opened() -> None:
    assert ruleset.add_forwards("t", [Forward("tcp", ANY6, 0, A("fd00:17::2"), 80)]) == (
        "add element inet t direct6 { fd00:17::2 . tcp . 80 }\n"
    )


@given(st.lists(FORWARDS, max_size=4))
def test_what_is_added_is_what_is_removed(forwards: list[Forward]) -> None:
    added, removed = ruleset.add_forwards("t", forwards), ruleset.remove_forwards("t", forwards)
    assert removed == added.replace("add element", "delete element")


@given(BRIDGES)
def test_a_bridge_is_added_and_removed_alike(bridge: BridgeRules) -> None:
    added = ruleset.add_bridge("t", bridge)
    name = bridge.interface
    assert ruleset.remove_bridge("t", bridge) == added.replace("add element", "delete element")
    translated = bridge.masquerade and not bridge.internal
    assert ("t outgoing4 { 172.17.0.0/16 }" in added) == (translated and bridge.families[0].mode != "routed")
    six = bridge.families[1]
    assert ("t source6 { fd00:17::/64 : fd00::1 }" in added) == (
        translated and six.source is not None and six.mode != "routed"
    )
    assert (f'"{name}" . "{name}"' in added) == bridge.icc
    assert (f't internal {{ "{name}" }}' in added) == bridge.internal
    assert all(f'"{trusted}" . "{name}"' in added for trusted in bridge.trusted)


@pytest.mark.parametrize(("mode", "place"), [("routed", "routed4"), ("nat-unprotected", "open4")])
def test_gateway_modes(mode: str, place: str) -> None:
    added = ruleset.add_bridge("t", BridgeRules("br0", (Family(NET, mode),)))
    assert f't {place} {{ "br0" }}' in added
    assert ("outgoing4" in added) == (mode != "routed")


def test_the_table_replaces_its_predecessor_in_one_transaction() -> None:
    text = ruleset.table("shoal", [BRIDGE], [Forward("tcp", ANY4, 80, A("172.17.0.2"), 80)])
    assert text.startswith("table inet shoal\ndelete table inet shoal\ntable inet shoal {")
    assert text.endswith(
        ruleset.add_bridge("shoal", BRIDGE) + "add element inet shoal publish_any4 { tcp . 80 : 172.17.0.2 . 80 }\n"
    )
    assert ruleset.remove_table("shoal") == "table inet shoal\ndelete table inet shoal\n"


def test_what_the_mesh_leads_where() -> None:
    elements = [
        ("mesh4", "tcp . 8080 : 10.0.1.2 . 80"),
        ("mesh6", "udp . 53 : fd00::2 . 5353"),
        ("mesh_here4", "tcp . 8080 : 10.0.1.2 . 80"),
        ("mesh_ports", "tcp . 8080"),
    ]
    assert ruleset.led(elements) == [
        Forward("tcp", ANY4, 8080, A("10.0.1.2"), 80),
        Forward("udp", ANY6, 53, A("fd00::2"), 5353),
    ]
