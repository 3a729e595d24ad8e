from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.durations import duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1h30m", 5400 * 10**9), ("10s", 10**10), ("1.5h", 5400 * 10**9), ("2ms3us4ns", 2_003_004), (".5s", 5 * 10**8)],
)
def test_durations(text: str, expected: int) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "1", "h", "1x", "1h ", "-1s", "1h1", "9" * 99 + "s"])
def test_what_is_none(text: str) -> None:
    assert duration(text) is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert duration(f"{hours}h{minutes}m{seconds}s") == (hours * 3600 + minutes * 60 + seconds) * 10**9
