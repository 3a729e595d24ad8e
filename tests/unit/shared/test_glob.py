from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from shared.glob import matches, parse


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("busybox", "busybox", True),
        ("busy*", "busybox:latest", True),
        ("*", "a/b", False),
        ("*/b", "a/b", True),
        ("a/*:1", "a/b:1", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        (r"\*", "*", True),
        (r"[\]]", "]", True),
        ("a*b*c", "aXbYc", True),
        ("a*b", "ab/b", False),
        ("*x", "aax", True),
        ("", "", True),
        ("**", "abc", True),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches(parse(pattern), name) is expected


@pytest.mark.parametrize("pattern", ["[", "[a", "[]a]", "[-a]", "a\\", "[a-", "[^]"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="syntax error in pattern"):
        parse(pattern)


@given(st.text("ab*?", max_size=10), st.text("ab", max_size=10))
def test_without_slashes_it_is_the_shells_matching(pattern: str, name: str) -> None:
    assert matches(parse(pattern), name) == fnmatch.fnmatchcase(name, pattern)


def test_no_pattern_takes_long() -> None:
    began = time.monotonic()
    assert not matches(parse("*a" * 100 + "b"), "a" * 400)
    assert time.monotonic() - began < 1
