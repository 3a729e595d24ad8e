from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.status import exits, is_running, status_text
from shared.contracts.container import ContainerStatus, Health, State

S = 1_000_000_000
NOW = 1_000_000 * S


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (ContainerStatus(), "Created"),
        (ContainerStatus(state="running", started_at=NOW - 3 * S), "Up 3 seconds"),
        (ContainerStatus(state="paused", started_at=NOW - 3600 * S), "Up About an hour (Paused)"),
        (
            ContainerStatus(state="running", started_at=NOW, health=Health(status="starting")),
            "Up Less than a second (health: starting)",
        ),
        (
            ContainerStatus(state="running", started_at=NOW - 90 * S, health=Health(status="unhealthy")),
            "Up About a minute (unhealthy)",
        ),
        (
            ContainerStatus(state="restarting", exit_code=3, started_at=1, finished_at=NOW - 5 * S),
            "Restarting (3) 5 seconds ago",
        ),
        (
            ContainerStatus(state="exited", exit_code=137, started_at=1, finished_at=NOW - 120 * S),
            "Exited (137) 2 minutes ago",
        ),
        (ContainerStatus(state="removing"), "Removal In Progress"),
        (ContainerStatus(state="dead", started_at=1), "Dead"),
    ],
)
def test_texts(status: ContainerStatus, text: str) -> None:
    assert status_text(status, NOW) == text


@given(st.sampled_from(get_args(State)), st.integers(0, NOW), st.integers(0, NOW), st.integers(0, 5))
def test_every_state_has_a_text_and_a_sane_count_of_exits(state: State, started: int, finished: int, runs: int) -> None:
    status = ContainerStatus(state=state, started_at=started, finished_at=finished, runs=runs)
    assert isinstance(status_text(status, NOW), str)
    assert is_running(status) == (state in ("running", "paused", "restarting"))
    assert exits(status) in (runs, runs - 1)


def test_a_running_process_has_not_ended() -> None:
    assert exits(ContainerStatus(state="running", runs=2)) == 1
    assert exits(ContainerStatus(state="restarting", runs=2)) == 2
    assert exits(ContainerStatus(state="exited", runs=2)) == 2
