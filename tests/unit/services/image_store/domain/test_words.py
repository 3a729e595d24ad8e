from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.words import expand, expand_words, split
from shared.errors import InvalidArgument

VARIABLES = {"A": "one", "EMPTY": "", "B2": "two"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a b\tc", ["a", "b", "c"]),
        ('a="x y" b', ['a="x y"', "b"]),
        (r"a\ b c", [r"a\ b", "c"]),
        ("'a b", ["'a b"]),
        ('""', ['""']),
        (r'"a\" b" c', [r'"a\" b"', "c"]),
    ],
)
def test_quotes_hold_words_together(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("$A", "one"),
        ("${A}x", "onex"),
        ("$B2-$NONE-", "two--"),
        ("'$A'", "$A"),
        ('"$A b"', "one b"),
        (r"\$A", "$A"),
        (r'"\$A \n"', r"$A \n"),
        ("${NONE:-$A}", "one"),
        ("${EMPTY:-x}${EMPTY-x}", "x"),
        ("${A:+yes}${NONE:+no}${EMPTY+set}", "yesset"),
        ("${A:?gone}", "one"),
        ("$", "$"),
        ("a$-", "a$-"),
        ("a\\", "a"),
    ],
)
def test_variables(word: str, expanded: str) -> None:
    assert expand(word, VARIABLES) == expanded


@pytest.mark.parametrize("word", ["'a", '"a', "${A", "${}", "${A%x}", "${NONE:?gone}", "${A:-x"])
def test_what_cannot_be_expanded(word: str) -> None:
    with pytest.raises(InvalidArgument):
        expand(word, VARIABLES)


@given(st.text(max_size=40))
def test_any_line_is_expanded_or_refused(text: str) -> None:
    try:
        words = expand_words(text, VARIABLES)
    except InvalidArgument:
        return
    assert isinstance(words, list)


@given(st.lists(st.text("abc", min_size=1), max_size=5))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    assert expand_words(" ".join(words), {}) == words
