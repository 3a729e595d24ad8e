"""Deadlines: the nearest counts, and they end with their block."""

from __future__ import annotations

from contextlib import ExitStack
from contextvars import copy_context

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import deadline

LIMITS = st.none() | st.integers(0, 1000).map(float)


class Clock:
    """A monotonic clock that goes only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(deadline, "time", made)
    return made


def test_there_is_none_at_first() -> None:
    assert deadline.left() is None
    with deadline.within(None):
        assert deadline.left() is None


def test_time_goes_by_and_is_never_less_than_none(clock: Clock) -> None:
    with deadline.within(5):
        assert deadline.left() == 5
        clock.now += 3
        assert deadline.left() == 2
        clock.now += 3
        assert deadline.left() == 0
    assert deadline.left() is None


@given(st.lists(LIMITS, min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_nearest_of_all_counts(clock: Clock, limits: list[float | None]) -> None:
    with ExitStack() as stack:
        for limit in limits:
            stack.enter_context(deadline.within(limit))
        set_limits = [limit for limit in limits if limit is not None]
        assert deadline.left() == min(set_limits, default=None)
    assert deadline.left() is None


def test_an_inner_deadline_ends_with_its_block(clock: Clock) -> None:
    with deadline.within(10):
        with pytest.raises(KeyError), deadline.within(1):
            raise KeyError
        assert deadline.left() == 10


def test_a_deadline_of_another_context_can_be_forgotten(clock: Clock) -> None:
    with deadline.within(10):
        context = copy_context()
        context.run(deadline.clear)
        assert context.run(deadline.left) is None
        assert deadline.left() == 10
