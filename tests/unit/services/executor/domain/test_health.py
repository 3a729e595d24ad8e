from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import health
from services.executor.domain.health import Check, check_of
from services.executor.domain.text import SECOND
from shared.contracts.container import ContainerConfig, Health, Healthcheck, HealthLog


def check(*test: str, shell: tuple[str, ...] | None = None, **more: Any) -> Check:
    found = check_of(ContainerConfig(shell=shell, healthcheck=Healthcheck(test=test or ("CMD", "x"), **more)))
    assert found is not None
    return found


def result(code: int, start: int = 100 * SECOND) -> HealthLog:
    return HealthLog(start=start, end=start + SECOND, exit_code=code, output="")


def test_forms() -> None:
    assert check("CMD", "a", "b").command == ("a", "b")
    assert check("CMD-SHELL", "a | b").command == ("/bin/sh", "-c", "a | b")
    assert check("CMD-SHELL", "a", shell=("/bin/bash", "-ec")).command == ("/bin/bash", "-ec", "a")
    assert check("CMD").command == check("CMD-SHELL").command == ()


@pytest.mark.parametrize("test", [(), ("NONE",), ("NONE", "x"), ("cmd", "x")])
def test_no_check(test: tuple[str, ...]) -> None:
    assert check_of(ContainerConfig(healthcheck=Healthcheck(test=test))) is None
    assert check_of(ContainerConfig()) is None


def test_defaults() -> None:
    assert check() == Check(("x",), 30 * SECOND, 30 * SECOND, 0, 5 * SECOND, 3)


def test_the_first_success_makes_healthy_and_one_failure_does_not_change_that() -> None:
    state = check().observed(Health(status="starting", failing_streak=2), 0, result(0))
    assert (state.status, state.failing_streak) == ("healthy", 0)
    state = check().observed(state, 0, result(1))
    assert (state.status, state.failing_streak) == ("healthy", 1)


@given(st.integers(1, 6), st.integers(0, 8))
def test_a_streak_makes_unhealthy(retries: int, failures: int) -> None:
    state = Health(status="starting")
    for _ in range(failures):
        state = check(retries=retries).observed(state, 0, result(-1))
    assert state.failing_streak == failures
    assert state.status == ("unhealthy" if failures >= retries else "starting")


def test_failures_of_the_start_period_do_not_count_while_starting() -> None:
    asked, begin = check(start_period=10 * SECOND, retries=1), 100 * SECOND
    state = asked.observed(Health(status="starting"), begin, result(1, begin + 9 * SECOND))
    assert (state.status, state.failing_streak, len(state.log)) == ("starting", 0, 1)
    assert asked.observed(state, begin, result(1, begin + 10 * SECOND)).status == "unhealthy"
    good = Health(status="healthy")
    assert asked.observed(good, begin, result(1, begin + SECOND)).status == "unhealthy"


def test_five_results_are_kept() -> None:
    state = Health(status="starting")
    for number in range(7):
        state = check().observed(state, 0, result(number))
    assert [entry.exit_code for entry in state.log] == [2, 3, 4, 5, 6]


def test_pauses() -> None:
    asked = check(interval=30 * SECOND, start_period=20 * SECOND, start_interval=2 * SECOND)
    starting, healthy = Health(status="starting"), Health(status="healthy")
    assert asked.pause(starting, 19 * SECOND) == 2 * SECOND
    assert asked.pause(starting, 20 * SECOND) == 30 * SECOND
    assert asked.pause(healthy, 1) == 30 * SECOND


def test_taken_over_where_another_left_off() -> None:
    asked, begin = check(interval=10 * SECOND), 100 * SECOND
    state = Health(status="healthy", log=(result(0, begin + 10 * SECOND),))  # ended at begin + 11
    assert asked.due(state, begin, begin + 15 * SECOND) == 6 * SECOND
    assert asked.due(state, begin, begin + 90 * SECOND) == 0
    assert asked.due(Health(status="starting"), begin, begin + 4 * SECOND) == 6 * SECOND
    earlier_run = Health(status="starting", log=(result(0, begin - 5 * SECOND),))
    assert asked.due(earlier_run, begin, begin + 4 * SECOND) == 6 * SECOND


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_a_clock_that_jumps_delays_by_one_interval_at_most(begin: int, now: int) -> None:
    assert 0 <= check(interval=SECOND).due(Health(status="starting"), begin, now) <= SECOND


def test_runs_and_pauses() -> None:
    before = Health(status="healthy", failing_streak=1, log=(result(0),), probe="p")
    assert health.begun(before) == Health(status="starting", log=before.log)
    assert health.begun(None) == Health(status="starting")
    unwatched = health.unwatched(before)
    assert unwatched is not None
    assert (unwatched.status, unwatched.probe, unwatched.log) == ("unhealthy", "", before.log)
    assert health.unwatched(None) is None


@given(st.lists(st.binary(max_size=3000), max_size=4))
def test_output_is_bounded(pieces: list[bytes]) -> None:
    output = health.Output()
    for piece in pieces:
        output.add(piece)
    whole = b"".join(pieces)
    expected = whole[: health.MOST_OUTPUT].decode(errors="replace") + ("..." if len(whole) > 4096 else "")
    assert output.text() == expected


def test_a_probe_that_took_too_long() -> None:
    assert health.timed_out(SECOND, "") == "Health check exceeded timeout (1s)"
    assert health.timed_out(1_500_000_000, "so far") == "Health check exceeded timeout (1.5s): so far"
