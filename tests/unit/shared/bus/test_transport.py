from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.transport import Callbacks, matches

token = st.sampled_from(["a", "b", "ab"])
subjects = st.lists(token, min_size=1, max_size=4).map(".".join)
patterns = st.builds(
    lambda tokens, rest: ".".join([*tokens, *rest]),
    st.lists(st.one_of(token, st.just("*")), min_size=1, max_size=4),
    st.sampled_from([[], [">"]]),
)


@given(patterns, subjects)
def test_patterns_match_as_their_regular_expression_does(pattern, subject):
    expression = re.escape(pattern).replace(r"\*", "[^.]+").replace(">", ".+")
    assert matches(pattern, subject) == bool(re.fullmatch(expression, subject))


def test_the_rest_is_at_least_one_token():
    assert matches("a.>", "a.b.c")
    assert not matches("a.>", "a")
    assert matches(">", "a")


def test_callbacks_may_remove_each_other_while_they_are_called():
    told: list[str] = []
    callbacks: Callbacks[[str]] = Callbacks()

    def first(text: str) -> None:
        told.append(f"first {text}")
        forget()
        forget()

    forget = callbacks.add(first)
    callbacks.add(lambda text: told.append(f"second {text}"))
    callbacks.call("a")
    callbacks.call("b")
    assert told == ["first a", "second a", "second b"]
