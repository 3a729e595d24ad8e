from __future__ import annotations

import pytest

from shared.dockerfile.text import plain_list, quote, quoted_list, strip, strip_left


@pytest.mark.parametrize(
    ("given", "quoted"),
    [("a b", '"a b"'), ('"\\', '"\\"\\\\"'), ("\n\t\x01", '"\\n\\t\\x01"'), ("é☃", '"é☃"'), ("\u200b", '"\\u200b"')],
)
def test_quoting(given: str, quoted: str) -> None:
    assert quote(given) == quoted


def test_blanks_are_gos() -> None:
    assert strip(" \t\x0b\xa0a\x1c ") == "a\x1c"
    assert strip_left("\u2003 a ") == "a "
    assert strip("") == strip("  ") == ""


def test_lists() -> None:
    assert quoted_list(("a", "b c")) == '["a" "b c"]'
    assert plain_list(("a", "b c")) == "[a b c]"
    assert quoted_list(None) == plain_list(()) == "[]"
