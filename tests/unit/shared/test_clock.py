"""Times as Go prints them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import now_ns, rfc3339

INT64 = st.integers(-(2**63), 2**63 - 1)
"""The times that Go's UnixNano can tell: the years 1677 to 2262."""


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
    ],
)
def test_examples(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


@given(INT64.filter(bool))
def test_no_nanosecond_is_lost(nanoseconds: int) -> None:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,8}[1-9]))?Z", rfc3339(nanoseconds))
    assert found is not None
    whole = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = whole.days * 86400 + whole.seconds
    assert seconds * 1_000_000_000 + int((found[2] or "0").ljust(9, "0")) == nanoseconds


def test_now_is_the_wall_clock() -> None:
    before = time.time_ns()
    now = now_ns()
    assert before <= now <= time.time_ns()
