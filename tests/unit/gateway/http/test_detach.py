from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.detach import DEFAULT, Scanner, parse
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a", b"\x01"),
        ("a,b", b"ab"),
        ("ctrl-[,x", b"\x1bx"),
        ("ctrl-@", b"\x00"),
    ],
)
def test_key_sequences(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-A", "ctrl-", "shift-a", "ab", ",", "a,", "ctrl-1", "é"])
def test_other_keys_are_refused_with_the_text(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert caught.value.message == f"Invalid detach keys ({text}) provided"


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


@given(st.binary(), st.lists(st.integers(0, 5)))
def test_input_without_the_sequence_passes_unchanged_however_it_is_cut(data: bytes, sizes: list[int]) -> None:
    data = data.replace(DEFAULT, b"")
    while DEFAULT in data:
        data = data.replace(DEFAULT, b"")
    scanner, out = Scanner(DEFAULT), b""
    for part in cut(data, sizes):
        passed, detached = scanner.feed(part)
        assert not detached
        out += passed
    assert out + scanner.rest() == data


@given(st.binary(max_size=20), st.binary(max_size=20), st.lists(st.integers(0, 5)))
def test_the_sequence_detaches_however_it_is_cut(before: bytes, after: bytes, sizes: list[int]) -> None:
    before = bytes(byte for byte in before if byte not in DEFAULT)
    scanner, out = Scanner(DEFAULT), b""
    for part in cut(before + DEFAULT + after, sizes):
        passed, detached = scanner.feed(part)
        out += passed
        if detached:
            break
    else:
        pytest.fail("not detached")
    assert out == before


def test_a_single_key_detaches() -> None:
    assert Scanner(b"x").feed(b"abxcd") == (b"ab", True)


def test_a_false_start_is_passed_on_with_what_follows() -> None:
    scanner = Scanner(DEFAULT)
    assert scanner.feed(b"a\x10") == (b"a", False)
    assert scanner.feed(b"b") == (b"\x10b", False)
    assert scanner.feed(b"\x10") == (b"", False)
    assert scanner.feed(b"\x10\x11") == (b"\x10", True)
