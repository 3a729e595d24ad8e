from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.durations import SECOND, human_duration

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 24 * 3600 * SECOND


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "Less than a second"),
        (SECOND - 1, "Less than a second"),
        (SECOND, "1 second"),
        (59 * SECOND, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE - 1, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE, "59 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 29 * MINUTE, "About an hour"),
        (HOUR + 30 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
        (5 * 365 * DAY, "5 years"),
    ],
)
def test_the_steps(duration: int, text: str) -> None:
    assert human_duration(duration) == text


@given(st.integers(-(1 << 40), 1 << 62))
def test_every_duration_has_a_text(duration: int) -> None:
    assert human_duration(duration)
