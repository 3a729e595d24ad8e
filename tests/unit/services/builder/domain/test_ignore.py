from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.builder.domain import ignore
from services.builder.domain.ignore import Ignore, read
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("patterns", "path", "out"),
    [
        (("a",), "a", True), (("a",), "a/b", True), (("a",), "b/a", False), (("**/a",), "b/a", True),
        (("**/a",), "a", True),
        (("*",), "a/b", True), (("*.md", "!README.md"), "README.md", False), (("*.md", "!README.md"), "x.md", True),
        (("a", "!a/b"), "a/b/c", False), (("a", "!a/b"), "a/c", True), (("a/**",), "a/b/c", True),
        (("a/**",), "a", False),
        (("**",), "x", True), (("a?c",), "abc", True), (("a?c",), "a/c", False), (("[ab]",), "b", True),
        (("[^a]",), "b", True),
        (("a.b",), "axb", False), (("a*/b",), "ax/b", True), (("**/x/**/y",), "q/x/1/2/y", True), (("!a",), "a", False),
        ((r"\*",), "*", True), ((r"\*",), "a", False), (("a/*/c",), "a/b/c/d", True), (("(a)",), "(a)", True),
        (("**/*.go", "!a"), "a/x.go", False),
    ],
)  # fmt: skip
def test_as_moby_matches(patterns: tuple[str, ...], path: str, out: bool) -> None:
    assert Ignore(patterns).matches(path) is out


def test_the_file() -> None:
    data = b"\xef\xbb\xbf# comment\n\n  /a/b/ \n! ./c/../d\n./x\n"
    assert read(data) == ("a/b", "!d", "x")


@pytest.mark.parametrize("pattern", ["!", "[", "a[b"])
def test_no_patterns(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        Ignore((pattern,))


def test_too_much() -> None:
    with pytest.raises(InvalidArgument, match="larger than"):
        read(b"a\n" * ignore.LONGEST)
    with pytest.raises(InvalidArgument, match="more than"):
        Ignore(["a"] * (ignore.MOST + 1))


PIECES = st.lists(st.sampled_from(["a", "b", "*", "**", "/", "?", "**/"]), min_size=1, max_size=6).map("".join)


@given(PIECES, st.text("ab/", min_size=1, max_size=8))
def test_both_ways_of_matching_agree(pattern: str, path: str) -> None:
    tokens = tuple(ignore._tokens(pattern))
    regex = re.compile(ignore._regex(tokens), re.DOTALL)
    assert ignore._follow(tokens, path) is (regex.match(path) is not None)


def test_many_wildcards_take_no_time() -> None:
    assert not Ignore(("**/a/" * 40 + "b",)).matches("a/" * 200 + "c")
    assert not Ignore(("*a" * 40 + "b",)).matches("a" * 250)
