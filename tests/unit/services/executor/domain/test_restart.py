from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import restart
from shared.contracts.container import ContainerConfig, ContainerStatus, RestartPolicy

NAMES = ("no", "always", "unless-stopped", "on-failure")
SECOND = restart.SECOND


def again(name: str, code: int = 1, most: int = 0, **last: Any) -> bool:
    policy = RestartPolicy(name=name, maximum_retry_count=most)
    return restart.after_exit(policy, ContainerStatus(**last), code, at=SECOND) is not None


def delay(ran: int, last: int) -> int:
    found = restart.after_exit(RestartPolicy(name="always"), ContainerStatus(restart_delay=last), 1, at=ran)
    assert found is not None
    return found


def test_policies() -> None:
    assert [again(name) for name in NAMES] == [False, True, True, True]
    assert [again(name, 0) for name in NAMES] == [False, True, True, False]


def test_what_a_client_sent() -> None:
    assert not any(again(name, restart_canceled=True, stopped_by_user=True) for name in NAMES)
    assert [again(name, stopped_by_user=True) for name in NAMES] == [False, True, False, True]


def test_on_failure_counts() -> None:
    assert again("on-failure", restart_count=2, most=3)
    assert not again("on-failure", restart_count=3, most=3)
    assert again("on-failure", restart_count=1000, most=0)


def test_back_off_doubles_to_a_minute() -> None:
    delays, last = [], 0
    for _ in range(12):
        last = delay(0, last)
        delays.append(last / SECOND)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]


@given(st.integers(0, 100 * SECOND), st.integers(0, restart.LONGEST_DELAY))
def test_a_calm_run_resets_the_back_off(ran: int, last: int) -> None:
    assert 0 < delay(ran, last) <= restart.LONGEST_DELAY
    if ran >= restart.CALM:
        assert delay(ran, last) == restart.FIRST_DELAY


@given(st.integers(0, 1 << 62), st.integers(0, restart.LONGEST_DELAY))
def test_what_remains_of_a_delay(now: int, asked: int) -> None:
    waiting = ContainerStatus(state="restarting", finished_at=5 * SECOND, restart_delay=asked)
    assert 0 <= restart.remaining(waiting, now) <= asked
    assert restart.remaining(waiting, 5 * SECOND) == asked


@pytest.mark.parametrize(
    ("name", "status", "comes_back"),
    [
        ("always", ContainerStatus(state="exited", runs=1, stopped_by_user=True), True),
        ("unless-stopped", ContainerStatus(state="exited", runs=1, stopped_by_user=True), False),
        ("unless-stopped", ContainerStatus(state="exited", runs=1), True),
        ("on-failure", ContainerStatus(state="exited", runs=1, exit_code=1), True),
        ("on-failure", ContainerStatus(state="exited", runs=1, exit_code=0), False),
        ("always", ContainerStatus(state="created"), False),
        ("always", ContainerStatus(state="dead", runs=1), False),
        ("no", ContainerStatus(state="exited", runs=1, exit_code=1), False),
    ],
)
def test_at_engine_start(name: str, status: ContainerStatus, comes_back: bool) -> None:
    assert restart.at_engine_start(RestartPolicy(name=name), status) is comes_back


def test_which_signals_end_for_good() -> None:
    plain, own = ContainerConfig(), ContainerConfig(stop_signal="SIGINT")
    assert restart.ends_for_good(1, plain)
    assert restart.ends_for_good(2, own)
    assert restart.ends_for_good(9, own)
    assert not restart.ends_for_good(1, own)
