"""Capability sets: Docker's rules, and never more than the host has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.capabilities import DEFAULT, KNOWN, effective, from_mask, to_mask
from shared.errors import InvalidArgument

EVERYTHING = frozenset(KNOWN)
names = st.sampled_from(KNOWN)


def test_the_default_set_is_dockers_mask() -> None:
    mask = sum(1 << KNOWN.index(name) for name in effective((), (), False, EVERYTHING))
    assert mask == 0xA80425FB
    assert set(DEFAULT) == from_mask(0xA80425FB)


def test_names_are_taken_in_any_spelling() -> None:
    assert "CAP_NET_ADMIN" in effective(("net_admin",), (), False, EVERYTHING)
    assert "CAP_MKNOD" not in effective((), ("CAP_mknod",), False, EVERYTHING)


def test_dropping_all_leaves_what_is_added() -> None:
    assert effective(("CHOWN",), ("ALL",), False, EVERYTHING) == ("CAP_CHOWN",)


def test_adding_all_leaves_out_what_is_dropped() -> None:
    assert set(effective(("all",), ("SYS_ADMIN",), False, EVERYTHING)) == EVERYTHING - {"CAP_SYS_ADMIN"}


@pytest.mark.parametrize(("field", "text"), [("CapAdd", "FOO"), ("CapDrop", "cap_foo")])
def test_an_unknown_name_is_refused_in_dockers_words(field: str, text: str) -> None:
    add, drop = ((text,), ()) if field == "CapAdd" else ((), (text,))
    with pytest.raises(InvalidArgument, match=f'invalid {field}: unknown capability: "CAP_FOO"'):
        effective(add, drop, False, EVERYTHING)


@given(st.sets(names), st.sets(names), st.booleans(), st.sets(names))
def test_nothing_that_the_host_lacks_is_given(add: set[str], drop: set[str], privileged: bool, host: set[str]) -> None:
    given_set = effective(add, drop, privileged, frozenset(host))
    assert set(given_set) <= host
    assert list(given_set) == sorted(given_set, key=KNOWN.index)


@given(st.sets(names), st.sets(names))
def test_added_beats_dropped(add: set[str], drop: set[str]) -> None:
    assert set(effective(add, drop, False, EVERYTHING)) == (set(DEFAULT) - drop) | add


@given(st.sets(names))
def test_a_mask_and_its_names_say_the_same(chosen: set[str]) -> None:
    assert from_mask(sum(1 << KNOWN.index(name) for name in chosen)) == chosen


def test_masks_and_names_are_the_same() -> None:
    assert to_mask(("CAP_CHOWN", "CAP_KILL")) == 0b100001
    assert to_mask(()) == 0
    assert from_mask(to_mask(DEFAULT)) == frozenset(DEFAULT)
