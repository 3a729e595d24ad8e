"""The nftables table as text. That the kernel takes it is tested with the firewall adapter."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import ruleset
from services.network.domain.publishing import ANY4, ANY6, Forward
from services.network.domain.ruleset import BridgeRules

A = ipaddress.ip_address
BRIDGE = BridgeRules("shoal0", ipaddress.IPv4Network("172.17.0.0/16"))
FORWARDS = st.builds(
    Forward,
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.ip_addresses(),
    st.integers(1, 65535),
    st.ip_addresses(v=4),
    st.integers(1, 65535),
)


def test_a_port_on_all_addresses_and_one_on_a_single_one() -> None:
    forwards = [
        Forward("tcp", ANY4, 8080, A("172.17.0.2"), 80),
        Forward("udp", A("127.0.0.1"), 53, A("172.17.0.2"), 5353),
    ]
    assert ruleset.add_forwards("shoal", forwards) == (
        "add element inet shoal publish { 127.0.0.1 . udp . 53 : 172.17.0.2 . 5353 }\n"
        "add element inet shoal publish_any { tcp . 8080 : 172.17.0.2 . 80 }\n"
    )


def test_the_kernel_forwards_no_ipv6_to_ipv4() -> None:
    assert ruleset.add_forwards("shoal", [Forward("tcp", ANY6, 80, A("172.17.0.2"), 80)]) == ""


@given(st.lists(FORWARDS, max_size=4))
def test_what_is_added_is_what_is_removed(forwards: list[Forward]) -> None:
    added, removed = ruleset.add_forwards("t", forwards), ruleset.remove_forwards("t", forwards)
    assert removed == added.replace("add element", "delete element")


@given(st.booleans(), st.booleans(), st.booleans())
def test_a_bridge_is_added_and_removed_alike(masquerade: bool, icc: bool, internal: bool) -> None:
    bridge = BridgeRules("br0", BRIDGE.subnet, masquerade, icc, internal)
    added = ruleset.add_bridge("t", bridge)
    assert ruleset.remove_bridge("t", bridge) == added.replace("add element", "delete element")
    assert ("t outgoing { 172.17.0.0/16 }" in added) == (masquerade and not internal)
    assert ('t icc { "br0" . "br0" }' in added) == icc
    assert ('t internal { "br0" }' in added) == internal


def test_the_table_replaces_its_predecessor_in_one_transaction() -> None:
    text = ruleset.table("shoal", [BRIDGE], [Forward("tcp", ANY4, 80, A("172.17.0.2"), 80)])
    assert text.startswith("table inet shoal\ndelete table inet shoal\ntable inet shoal {")
    assert text.endswith(
        ruleset.add_bridge("shoal", BRIDGE) + "add element inet shoal publish_any { tcp . 80 : 172.17.0.2 . 80 }\n"
    )
    assert ruleset.remove_table("shoal") == "table inet shoal\ndelete table inet shoal\n"
