"""The program by an interpreter of the few instructions it has, against the rules as v1 keeps them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.device_program import program
from shared.errors import InvalidArgument

ACCESS = {"m": 1, "r": 2, "w": 4}
KINDS = {"b": 1, "c": 2}


def run(code: bytes, kind: str, major: int, minor: int, access: str) -> int:
    """What the program returns."""
    given = struct.pack("=III", sum(ACCESS[each] for each in access) << 16 | KINDS[kind], major, minor)
    registers, at = [0] * 10, 0
    while True:
        operation, names, offset, value = struct.unpack_from("=BBhi", code, at * 8)
        to, by = names & 15, names >> 4
        at += 1
        match operation:
            case 0x61:
                (registers[to],) = struct.unpack_from("=I", given, offset)
            case 0xB7:
                registers[to] = value
            case 0xBF:
                registers[to] = registers[by]
            case 0x57:
                registers[to] &= value
            case 0x77:
                registers[to] >>= value
            case 0x56:
                at += offset if registers[to] & 0xFFFFFFFF != value & 0xFFFFFFFF else 0
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"instruction {operation:#x}")


NUMBER = st.integers(0, 2)
RULE = st.builds(
    lambda kind, major, minor, access: {
        "allow": True,
        "access": "".join(sorted(access)),
        **({"type": kind} if kind else {}),
        **({"major": major} if major is not None else {}),
        **({"minor": minor} if minor is not None else {}),
    },
    st.sampled_from(["", "b", "c"]),
    st.none() | NUMBER,
    st.none() | NUMBER,
    st.sets(st.sampled_from("rwm"), min_size=1),
)
NOTHING = {"allow": False, "access": "rwm"}


def allows(rule: dict[str, Any], kind: str, major: int, minor: int) -> bool:
    wanted = {"type": kind, "major": major, "minor": minor}
    return all(rule.get(name, value) == value for name, value in wanted.items())


@given(st.lists(RULE, max_size=5), st.sampled_from("bc"), NUMBER, NUMBER, st.sets(st.sampled_from("rwm"), min_size=1))
def test_what_a_rule_allows_and_nothing_else(
    rules: list[dict[str, Any]], kind: str, major: int, minor: int, access: set[str]
) -> None:
    code = program([NOTHING, *rules])
    everything = any(len(rule) == 2 and rule["access"] == "mrw" for rule in rules)
    assert (code is None) == everything
    if code is None:
        return
    together: dict[tuple[Any, ...], set[str]] = {}
    for rule in rules:
        if allows(rule, kind, major, minor):
            device = (rule.get("type"), rule.get("major"), rule.get("minor"))
            together.setdefault(device, set()).update(rule["access"])
    assert run(code, kind, major, minor, "".join(access)) == any(access <= each for each in together.values())


def test_numbers_that_no_device_has_allow_nothing() -> None:
    code = program([NOTHING, {"allow": True, "type": "c", "major": 1 << 32, "minor": 1 << 40, "access": "rwm"}])
    assert code == program([NOTHING])


def test_what_comes_later_goes_on_top() -> None:
    null = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}
    assert program([]) is None
    assert program([NOTHING, {"allow": True, "access": "rwm"}]) is None
    again = program([null, NOTHING])
    assert again is not None
    assert run(again, "c", 1, 3, "r") == 0
    with pytest.raises(InvalidArgument, match="denies less"):
        program([NOTHING, {**null, "allow": False}])
