from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate import filters
from shared.errors import InvalidArgument

VALUES = st.dictionaries(st.text(), st.lists(st.text(), unique=True))


@given(VALUES)
def test_both_forms_mean_the_same(values: dict[str, list[str]]) -> None:
    expected = {name: tuple(items) for name, items in values.items()}
    old = {name: dict.fromkeys(items, True) for name, items in values.items()}
    assert filters.parse(json.dumps(values)) == expected
    assert filters.parse(json.dumps(old)) == expected


def test_nothing_filters_nothing() -> None:
    assert filters.parse("") == filters.parse("null") == filters.parse("{}") == {}


@pytest.mark.parametrize("text", ["x", "[]", '"x"', '{"a":5}', '{"a":[5]}', '{"a":{"b":1}}', "[" * 10_000])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter"):
        filters.parse(text)


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(InvalidArgument):
        assert isinstance(filters.parse(text), dict)


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(InvalidArgument) as caught:
        filters.parse('{"foo":["x"]}', ("label",))
    assert caught.value.message == "invalid filter 'foo'"


def test_matching() -> None:
    wanted: filters.Filters = {"name": ("web", "^db[0-9]$")}
    assert filters.match(wanted, "name", "my-web-1")
    assert filters.match(wanted, "name", "db1")
    assert not filters.match(wanted, "name", "db12")
    assert filters.exact(wanted, "name", "web")
    assert not filters.exact(wanted, "name", "web1")
    assert filters.prefix(wanted, "name", "web1")
    assert filters.match(wanted, "absent", "x")
    assert not filters.match({"name": ("(",)}, "name", "x")


def test_a_pattern_cannot_keep_the_gateway_busy() -> None:
    began = time.monotonic()
    assert not filters.match({"name": ("(a+)+$", "(a*)*b", "a" * 5000)}, "name", "a" * 200 + "!")
    assert time.monotonic() - began < 0.5


@given(st.dictionaries(st.text(st.characters(exclude_characters="=")), st.text()))
def test_labels_match_by_key_and_by_value(present: dict[str, str]) -> None:
    wanted: filters.Filters = {"label": tuple(present) + tuple(f"{key}={value}" for key, value in present.items())}
    assert filters.labels(wanted, present)
    assert not filters.labels({"label": ("=",)}, {"a": "b"})
    assert not filters.labels({"label": ("a=c",)}, {"a": "b"})


def test_labels_that_must_not_be() -> None:
    assert not filters.not_labels({"label!": ("a",)}, {"a": "b"})
    assert filters.not_labels({"label!": ("a=c",)}, {"a": "b"})


@pytest.mark.parametrize(
    ("values", "result"), [(("true",), True), (("1",), True), (("0",), False), (("false",), False)]
)
def test_boolean_filters(values: tuple[str, ...], result: bool) -> None:
    assert filters.boolean({"dangling": values}, "dangling", True) is result


@pytest.mark.parametrize("values", [(), ("x",), ("true", "false")])
def test_other_booleans_are_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'dangling="):
        filters.boolean({"dangling": values}, "dangling", True)
    assert filters.boolean({}, "dangling", True) is True
