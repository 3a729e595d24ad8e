"""Which namespaces are made, joined or left out."""

from __future__ import annotations

import pytest

from services.platform.domain.namespaces import namespaces, own_network
from shared.contracts.platform import Isolation
from shared.errors import InvalidArgument


def kinds(isolation: Isolation, v2: bool = True) -> dict[str, str]:
    return {entry["type"]: entry.get("path", "") for entry in namespaces(isolation, v2)}


def test_everything_is_private_unless_said_otherwise() -> None:
    assert kinds(Isolation()) == dict.fromkeys(("mount", "network", "uts", "pid", "ipc", "cgroup"), "")


def test_the_cgroup_namespace_is_the_hosts_on_v1() -> None:
    assert "cgroup" not in kinds(Isolation(), v2=False)
    assert "cgroup" in kinds(Isolation(cgroup="private"), v2=False)
    assert "cgroup" not in kinds(Isolation(cgroup="host"))


def test_the_hosts_are_left_out_and_others_joined() -> None:
    made = kinds(Isolation(network="/proc/7/ns/net", pid="host", ipc="shareable", uts="host"))
    assert made["network"] == "/proc/7/ns/net"
    assert {"pid", "uts"}.isdisjoint(made)
    assert made["ipc"] == ""


def test_a_word_that_means_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid pid namespace: 'foo'"):
        namespaces(Isolation(pid="foo"), True)


@pytest.mark.parametrize(
    ("network", "own"), [("", True), ("/run/shoal/netns/x", True), ("host", False), ("/proc/3/ns/net", False)]
)
def test_only_an_own_network_may_be_changed(network: str, own: bool) -> None:
    assert own_network(Isolation(network=network)) is own
