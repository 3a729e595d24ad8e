from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dockerfile import pattern

VALUES = st.text("ab/.", max_size=12)
PATTERNS = st.text("ab*?", max_size=6)


def regex(text: str, greedy: bool) -> re.Pattern[str]:
    star = ".*" if greedy else ".*?"
    return re.compile("".join({"*": star, "?": "."}.get(char, re.escape(char)) for char in text))


@given(VALUES, PATTERNS, st.booleans())
def test_prefixes_are_those_of_a_regular_expression(value: str, text: str, greedy: bool) -> None:
    match = regex(text, greedy).match(value)
    assert pattern.cut_prefix(value, text, greedy) == (value[match.end() :] if match else value)


@given(VALUES, PATTERNS, st.booleans())
def test_suffixes_are_prefixes_from_behind(value: str, text: str, greedy: bool) -> None:
    expected = pattern.cut_prefix(value[::-1], text[::-1], greedy)[::-1]
    assert pattern.cut_suffix(value, text, greedy) == expected


@pytest.mark.parametrize(
    ("value", "text", "every", "expected"),
    [
        ("a.b.c", ".", True, "a-b-c"),
        ("a.b.c", ".", False, "a-b.c"),
        ("abcabc", "b*c", True, "a-"),
        ("aXbX", "?X", True, "--"),
        ("a*b", r"\*", True, "a-b"),
    ],
)
def test_replacing(value: str, text: str, every: bool, expected: str) -> None:
    assert pattern.substitute(value, text, "-", every) == expected


def test_an_escape_of_nothing_special() -> None:
    with pytest.raises(ValueError, match=r"invalid escape '\\a'"):
        pattern.cut_prefix("abc", r"\a", False)


def test_no_pattern_takes_long() -> None:
    with pytest.raises(ValueError, match="too long"):
        pattern.substitute("a" * 20_000, "*a" * 200 + "b", "", True)
