from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import names
from services.executor.domain.words import ADJECTIVES, SURNAMES
from shared.errors import InvalidArgument


@pytest.mark.parametrize("name", ["web", "/web", "a1", "a_b.c-d", "0x"])
def test_allowed(name: str) -> None:
    assert names.checked(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["a", "", "-a", "a b", "a/b", "ä1", "web\n", "//web"])
def test_refused_in_dockers_words(name: str) -> None:
    text = f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    with pytest.raises(InvalidArgument) as caught:
        names.checked(name)
    assert caught.value.message == text


def test_taken_in_dockers_words() -> None:
    assert names.taken("web", "abc").message == (
        'Conflict. The container name "/web" is already in use by container "abc". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def test_made_up_names_are_allowed_and_end_with_the_short_id() -> None:
    def first(words: Sequence[str]) -> str:
        return words[0]

    found = list(names.candidates("f" * 64, first))
    assert found[0] == f"{ADJECTIVES[0]}_{SURNAMES[0]}"
    assert found[1] == f"{found[0]}1"
    assert found[-1] == "f" * 12
    assert len(set(found)) == len(found) == names.ATTEMPTS + 1
    assert all(names.checked(name) == name for name in found)


def test_words_are_plain_and_told_once() -> None:
    for words in (ADJECTIVES, SURNAMES):
        assert len(set(words)) == len(words) > 50
        assert all(re.fullmatch("[a-z]+", word) for word in words)


@given(st.text(max_size=20))
def test_what_is_allowed_fits_the_rule(name: str) -> None:
    try:
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", names.checked(name))
    except InvalidArgument:
        assert not re.fullmatch(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+", name)
