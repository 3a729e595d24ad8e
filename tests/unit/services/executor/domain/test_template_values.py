from __future__ import annotations

import pytest

from services.executor.domain.template_values import FUNCTIONS, TemplateError, Value, formatted, shown, true


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (-3, "-3"),
        (True, "true"),
        (None, "<no value>"),
        (["a", "b"], "[a b]"),
        ({"b": "2", "a": "1"}, "map[a:1 b:2]"),
    ],
)
def test_values_as_go_prints_them(value: Value, text: str) -> None:
    assert shown(value) == text


def test_what_counts_as_true() -> None:
    values: list[Value] = ["", 0, False, None, [], {}, "0", 1]
    assert [true(value) for value in values] == [False] * 6 + [True] * 2


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        ("%s %v %d%%", ("a", ["b"], 3), "a [b] 3%"),
        ("%x %X %x", (255, 255, "az"), "ff FF 617a"),
        ("[%5s|%-5s|%03d|%.2s]", ("a", "b", 7, "abc"), "[    a|b    |007|ab]"),
        ("%d %s", ("a",), "%!d(string=a) %!s(MISSING)"),
        ("a", ("b",), "a%!(EXTRA string=b)"),
    ],
)
def test_printf(form: str, values: tuple[Value, ...], text: str) -> None:
    assert formatted(form, *values) == text


def test_what_is_beyond_the_end() -> None:
    for name, arguments in (("index", (["a"], 1)), ("slice", ("abc", 2, 9)), ("slice", (3,)), ("index", (3, 1))):
        with pytest.raises(TemplateError):
            FUNCTIONS[name](*arguments)
