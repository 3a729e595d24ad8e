"""Filters that several nouns have in common."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import filters
from shared.errors import InvalidArgument

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'foo'"):
        filters.check({"name": ("a",), "foo": ("b",)}, {"name"})
    filters.check({"name": ("a",)}, {"name"})


@pytest.mark.parametrize(
    ("values", "expected"),
    [((), None), (("1",), True), (("true",), True), (("0", "false"), False), (("x", "true"), True)],
)
def test_booleans(values: tuple[str, ...], expected: bool | None) -> None:
    assert filters.boolean({"dangling": values}, "dangling") is expected


def test_what_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=re.escape("invalid filter 'dangling=[maybe]'")):
        filters.boolean({"dangling": ("maybe",)}, "dangling")
    with pytest.raises(InvalidArgument):
        filters.boolean({"dangling": ("true", "false")}, "dangling")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"label": ("a",)}, True),
        ({"label": ("a=1",)}, True),
        ({"label": ("a=",)}, False),
        ({"label": ("a=1", "c")}, False),
        ({"label!": ("c",)}, True),
        ({"label!": ("a=2",)}, True),
        ({"label!": ("a",)}, False),
    ],
)
def test_labels(wanted: dict[str, tuple[str, ...]], expected: bool) -> None:
    assert filters.labels_match({"a": "1", "b": "x=y"}, wanted) is expected


@given(st.text("ab^$.*", max_size=6), st.text("ab.", max_size=8))
def test_patterns_agree_with_regular_expressions_of_the_same_subset(pattern: str, text: str) -> None:
    body = pattern.removeprefix("^").removesuffix("$")
    begin = "^" if pattern.startswith("^") else ""
    end = r"\Z" if pattern.removeprefix("^").endswith("$") or (pattern.endswith("$") and not begin) else ""
    expression = begin + ".*".join(re.escape(piece) for piece in body.split(".*")) + end
    assert filters.pattern_matches(pattern, text) == (pattern == text or re.search(expression, text) is not None)


def test_any_pattern_of_a_filter_will_do() -> None:
    assert filters.any_matches({"name": ("x", "b")}, "name", "abc")
    assert not filters.any_matches({"name": ("x", "y")}, "name", "abc")
    assert filters.any_matches({}, "name", "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h30m", NOW - 5400 * SECOND),
        ("10s", NOW - 10 * SECOND),
        ("500ms", NOW - SECOND // 2),
        ("1600000000", 1_600_000_000 * SECOND),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-15T00:13:20+02:00", NOW),
        ("2023-11-14T22:13:20", NOW),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert filters.until({"until": (text,)}, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "1h-", "12x", "9" * 30])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="until"):
        filters.until({"until": (text,)}, NOW)


def test_one_moment_at_most() -> None:
    assert filters.until({}, NOW) == 0
    with pytest.raises(InvalidArgument, match="more than one"):
        filters.until({"until": ("1h", "2h")}, NOW)
