from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.times import SECOND, moment, unix
from shared.errors import InvalidArgument

NOW = 1_700_000_000 * SECOND


@given(st.integers(0, 9_000_000_000), st.integers(0, SECOND - 1))
def test_unix_times_with_fraction(seconds: int, fraction: int) -> None:
    assert unix(f"{seconds}.{fraction:09d}", "since") == seconds * SECOND + fraction
    assert unix(str(seconds), "since") == seconds * SECOND


def test_short_fractions_are_tenths_and_hundredths() -> None:
    assert unix("1.5", "since") == 1_500_000_000
    assert unix("", "since") == 0


def test_milliseconds_taken_for_seconds_are_far_off() -> None:
    assert unix("1700000000000", "until") == unix("9999999999.5", "until") == (1 << 63) - 1
    assert unix("-1700000000000", "since") == -(1 << 63) + 1


@pytest.mark.parametrize("text", ["abc", "1.2.3", "1e9", " 1", "9" * 19])
def test_other_texts_are_refused_with_the_field(text: str) -> None:
    with pytest.raises(InvalidArgument, match='"since"'):
        unix(text, "since")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1700000000", NOW),
        ("10m", NOW - 600 * SECOND),
        ("1h30m", NOW - 5400 * SECOND),
        ("1.5s", NOW - 1_500_000_000),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20.5+00:00", NOW + SECOND // 2),
    ],
)
def test_moments(text: str, time: int) -> None:
    assert moment(text, "until", NOW) == time


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(InvalidArgument):
        assert isinstance(moment(text, "until", NOW), int)
