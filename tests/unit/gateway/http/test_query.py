from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.query import Query
from shared.errors import InvalidArgument


@pytest.mark.parametrize("text", ["", "0", "no", "No", "false", "none", " 0 "])
def test_what_docker_takes_for_false(text: str) -> None:
    assert Query(urlencode({"all": text})).flag("all", default=True) is False


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "2", "anything"])
def test_anything_else_is_true(text: str) -> None:
    assert Query(urlencode({"all": text})).flag("all") is True


def test_an_absent_flag_has_its_default() -> None:
    assert Query("").flag("quiet", default=True) is True
    assert Query("x=1").flag("quiet") is False


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_values_come_back_as_they_were_encoded(values: dict[str, str]) -> None:
    query = Query(urlencode(values))
    assert {name: query.get(name) for name in values} == values


def test_repeated_parameters_keep_their_order() -> None:
    assert Query("names=b&names=a").all("names") == ("b", "a")
    assert "names" in Query("names=")
    assert "x" not in Query("names=")


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_integers_of_64_bits(number: int) -> None:
    assert Query(f"t={number}").integer("t") == number


@pytest.mark.parametrize("text", ["abc", "1.5", "0x10", "1e3", "9223372036854775808", "9" * 100])
def test_other_integers_are_refused_with_the_field_and_the_value(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Query(f"t={text}").integer("t")
    assert "for t" in caught.value.message
    assert text[:40] in caught.value.message


def test_an_empty_integer_is_not_given() -> None:
    assert Query("t=").integer("t") is None
    assert Query("").integer("limit", 0) == 0


@pytest.mark.parametrize("text", ["", "-1", "a", "4294967296", "٣", "+1"])
def test_a_terminal_size_is_an_unsigned_number(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid resize height"):
        Query(urlencode({"h": text})).size("h", "resize height")


def test_a_terminal_size_is_read() -> None:
    assert Query("h=4294967295").size("h", "resize height") == 4294967295


def test_a_strict_flag_is_a_boolean_of_go() -> None:
    for text in ("1", "t", "TRUE", "true"):
        assert Query(f"verbose={text}").strict_flag("verbose")
    for text in ("", "0", "False", "f"):
        assert not Query(f"verbose={text}").strict_flag("verbose")
    assert not Query("").strict_flag("verbose")
    with pytest.raises(InvalidArgument, match=r"invalid value for verbose: yes: strconv\.ParseBool"):
        Query("verbose=yes").strict_flag("verbose")


def test_a_broken_escape_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='invalid URL escape "%zz"'):
        Query("a=%zz").get("a")


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="1000"):
        Query("&".join(f"a{i}=1" for i in range(1002))).get("a1")
