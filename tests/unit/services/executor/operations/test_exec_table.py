from __future__ import annotations

from services.executor.operations.exec_table import MOST_ENDED, MOST_WAITING, Exec, ExecTable
from shared.contracts.execs import ExecCreateRequest


def make(exec_id: str, container_id: str = "c") -> Exec:
    return Exec(exec_id, ExecCreateRequest(id=container_id, cmd=("ls",)))


def test_state_follows_its_life() -> None:
    table, execution = ExecTable(), make("e")
    table.add(execution)
    assert not execution.state().running
    table.begin(execution)
    assert execution.state().running
    table.end(execution, 3)
    assert (execution.state().running, execution.state().exit_code, execution.started) == (False, 3, True)
    assert table.get("e") is execution


def test_ended_and_waiting_ones_are_bounded_and_live_ones_stay() -> None:
    table, live = ExecTable(), make("live")
    table.add(live)
    table.begin(live)
    for number in range(MOST_ENDED + 10):
        execution = make(f"ended{number}")
        table.add(execution)
        table.end(execution, 0)
    for number in range(MOST_WAITING + 10):
        table.add(make(f"waiting{number}"))
    assert len(list(table)) == 1 + MOST_ENDED + MOST_WAITING
    assert table.get("live") is live
    assert "live" in table.live("c")
    assert "ended500" not in table.live("c")
    assert table.get("ended0") is None
    assert table.get("waiting0") is None
    assert table.get(f"ended{MOST_ENDED + 9}") is not None


def test_a_container_takes_its_execs_along() -> None:
    table, live, ended = ExecTable(), make("live"), make("ended")
    for execution in (make("waiting"), make("other", "d"), live, ended):
        table.add(execution)
    table.begin(live)
    table.end(ended, 3)
    table.stop("c")
    assert [execution.id for execution in table] == ["other", "live", "ended"]
    assert (live.exit_code, live.running, ended.exit_code) == (137, False, 3)
    table.stop("c")
    assert live.exit_code == 137
