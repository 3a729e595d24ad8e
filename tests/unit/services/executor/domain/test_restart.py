from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import restart
from shared.contracts.container import ContainerConfig, ContainerStatus, RestartPolicy

NAMES = ("no", "always", "unless-stopped", "on-failure")


def verdict(name: str, code: int = 1, *, stopped: bool = False, restarts: int = 0, most: int = 0) -> bool:
    policy = RestartPolicy(name=name, maximum_retry_count=most)
    return restart.after_exit(policy, code, restarts=restarts, stopped=stopped, ran_seconds=1, last_delay=0).restart


def test_policies() -> None:
    assert [verdict(name) for name in NAMES] == [False, True, True, True]
    assert [verdict(name, 0) for name in NAMES] == [False, True, True, False]
    assert not any(verdict(name, stopped=True) for name in NAMES)


def test_on_failure_counts() -> None:
    assert verdict("on-failure", restarts=2, most=3)
    assert not verdict("on-failure", restarts=3, most=3)
    assert verdict("on-failure", restarts=1000, most=0)


def test_back_off_doubles_to_a_minute() -> None:
    delays, delay = [], 0.0
    for _ in range(12):
        policy = RestartPolicy(name="always")
        delay = restart.after_exit(policy, 1, restarts=0, stopped=False, ran_seconds=0, last_delay=delay).delay
        delays.append(round(delay, 3))
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]


@given(st.floats(0, 100), st.floats(0, 60))
def test_a_calm_run_resets_the_back_off(ran: float, last: float) -> None:
    found = restart.after_exit(
        RestartPolicy(name="always"), 0, restarts=0, stopped=False, ran_seconds=ran, last_delay=last
    )
    assert 0 < found.delay <= restart.LONGEST_DELAY
    if ran >= restart.CALM:
        assert found.delay == restart.FIRST_DELAY


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
