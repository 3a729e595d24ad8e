"""Names of what the service makes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import naming

IDS = st.text("0123456789abcdef", min_size=64, max_size=64)
PREFIXES = st.text("abcdxyz", min_size=1, max_size=4)


@given(PREFIXES, IDS, st.integers(0, 15))
def test_veth_names_fit_and_tell_sandbox_and_interface(prefix: str, sandbox: str, index: int) -> None:
    name = naming.veth(prefix, sandbox, index)
    assert len(name) <= 15
    assert naming.is_veth(prefix, name)
    assert sandbox[:8] in name


@given(PREFIXES, IDS)
def test_bridges_fit_and_are_no_veth(prefix: str, network: str) -> None:
    name = naming.bridge_interface(prefix, network)
    assert len(name) <= 15
    assert not naming.is_veth(prefix, name)


def test_other_interfaces_are_not_ours() -> None:
    assert not naming.is_veth("shl", "eth0")
    assert not naming.is_veth("shl", "shl0")
    assert not naming.is_veth("shl", "veth12345678")


def test_a_namespace_file_is_named_as_dockers() -> None:
    assert naming.namespace_file("b573012c1438b6e7507b") == "b573012c1438"


def test_names_of_two_nodes_are_two_keys() -> None:
    assert naming.name_key("node1", "web") != naming.name_key("node2", "web")


def test_what_was_made_for_a_network_is_marked() -> None:
    assert naming.is_marked("shl", naming.mark("shl", "n1"))
    assert not naming.is_marked("shl", naming.mark("shl2", "n1"))
    assert not naming.is_marked("shl", "uplink")
