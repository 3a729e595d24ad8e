"""Device nodes and rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.devices import Node, check_access, nodes, rules
from shared.errors import InvalidArgument

TUN = Node("/dev/net/tun", "c", 10, 200, 0o100666, 1, 2, "rw")


def test_a_node_as_the_runtime_wants_it() -> None:
    assert nodes([TUN]) == [
        {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666, "uid": 1, "gid": 2}
    ]


def test_everything_is_forbidden_but_what_is_named() -> None:
    made = rules([TUN], ["b 8:* r", "a *:* m"], privileged=False)
    assert made[0] == {"allow": False, "access": "rwm"}
    assert made[-3:] == [
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"},
        {"allow": True, "type": "b", "major": 8, "access": "r"},
        {"allow": True, "type": "a", "access": "m"},
    ]


def test_privileged_means_everything() -> None:
    assert rules([TUN], [], privileged=True) == [{"allow": True, "access": "rwm"}]


@pytest.mark.parametrize("text", ["", "c 1:3", "x 1:3 rwm", "c 1:3 rwx", "c a:b r", "c 1:3 rwm\n"])
def test_a_rule_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid device cgroup rule format"):
        rules([], [text], privileged=False)


@given(st.text(alphabet="rwm", min_size=1, max_size=3))
def test_permissions_are_of_three_letters(text: str) -> None:
    assert check_access(text) == text


@pytest.mark.parametrize("text", ["", "xyz", "rwmr", "r w"])
def test_other_permissions_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        check_access(text)
