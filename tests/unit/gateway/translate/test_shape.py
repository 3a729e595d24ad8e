from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.shape import Shape
from shared.errors import InvalidArgument


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    host_ip: str = ""


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    memory: int = 0
    init: bool | None = None
    binds: tuple[str, ...] = ()
    ports: dict[str, tuple[Inner, ...] | None] = {}
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    labels: dict[str, str] = {}


SHAPE = Shape(Outer, "Outer", omit="init inner", null="binds")
OUTER = st.builds(
    Outer,
    name=st.text(),
    memory=st.integers(-(1 << 63), (1 << 63) - 1),
    init=st.one_of(st.none(), st.booleans()),
    binds=st.lists(st.text()).map(tuple),
    ports=st.dictionaries(st.text(), st.one_of(st.none(), st.lists(st.builds(Inner, host_ip=st.text())).map(tuple))),
    inner=st.one_of(st.none(), st.builds(Inner, host_ip=st.text(min_size=1))),
    several=st.lists(st.builds(Inner, host_ip=st.text())).map(tuple),
    labels=st.dictionaries(st.text(), st.text()),
)


@given(OUTER)
def test_what_is_shown_reads_back_as_it_was(value: Outer) -> None:
    shown = msgspec.json.decode(msgspec.json.encode(SHAPE.dump(value)))
    assert SHAPE.load(shown) == value


@given(OUTER)
def test_names_match_in_any_case(value: Outer) -> None:
    shown = {name.swapcase(): item for name, item in msgspec.to_builtins(SHAPE.dump(value)).items()}
    assert SHAPE.load(shown) == value


def test_empty_fields_by_their_rule() -> None:
    assert msgspec.to_builtins(SHAPE.dump(Outer())) == {
        "Name": "", "Memory": 0, "Binds": None, "Ports": {}, "Several": [], "Labels": {}
    }  # fmt: skip


def test_null_is_not_given_and_unknown_names_are_ignored() -> None:
    data = {"Name": None, "Binds": None, "Inner": None, "Ports": {"80/tcp": None}, "Foo": 5}
    assert SHAPE.load(data) == Outer(ports={"80/tcp": None})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"Memory": "5"}, "Outer.Memory: Expected `int`, got `str`"),
        ({"Memory": 1 << 63}, "Outer.Memory: number 9223372036854775808 is out of range"),
        ({"Binds": "x"}, "Outer.Binds: Expected `array`"),
        ({"Several": [{"HostIp": 5}]}, "Outer.Several[0].HostIp: Expected `str`"),
        ({"Ports": {"80/tcp": "x"}}, "Outer.Ports[...]: Expected"),
        ({"Inner": []}, "Outer.Inner: Expected"),
        ([], "Outer: Expected `object`"),
    ],
)
def test_wrong_types_are_refused_with_the_field_in_dockers_spelling(data: Any, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SHAPE.load(data)
    assert text in caught.value.message


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(("Name", "memory", "Binds", "ports", "Inner", "Several", "Labels", "HostIp")), inner
            ),
        ),
    )
)
def test_no_json_does_more_than_be_refused(data: Any) -> None:
    with suppress(InvalidArgument):
        assert isinstance(SHAPE.load(data), Outer)


def test_a_field_that_does_not_exist_is_a_mistake_in_the_shape() -> None:
    with pytest.raises(TypeError, match="nope"):
        Shape(Outer, "Outer", omit="nope")
