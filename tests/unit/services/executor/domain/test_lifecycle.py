from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from services.executor.domain import lifecycle
from services.executor.domain.lifecycle import Event
from shared.contracts.container import State
from shared.errors import Conflict, NotModified, ShoalError

STATES = get_args(State)
ID = "f" * 64


def test_table_names_only_states_and_events() -> None:
    for (state, event), following in lifecycle.TRANSITIONS.items():
        assert {state, following} <= set(STATES)
        assert event in get_args(Event)


def test_what_is_not_in_the_table_is_refused() -> None:
    for state in STATES:
        for event in get_args(Event):
            if (state, event) in lifecycle.TRANSITIONS:
                assert lifecycle.after(state, event) == lifecycle.TRANSITIONS[state, event]
            else:
                with pytest.raises(Conflict):
                    lifecycle.after(state, event)


def test_every_state_but_dead_and_removing_can_come_back_to_running() -> None:
    reach: set[State] = {"running"}
    for _ in STATES:
        reach |= {state for (state, _), following in lifecycle.TRANSITIONS.items() if following in reach}
    assert reach == set(STATES) - {"removing", "dead"}


def refusals(check: Callable[[State], None]) -> dict[str, ShoalError]:
    found: dict[str, ShoalError] = {}
    for state in STATES:
        try:
            check(state)
        except ShoalError as error:
            found[state] = error
    return found


def test_start() -> None:
    found = refusals(lifecycle.check_start)
    assert set(found) == {"running", "restarting", "paused", "removing", "dead"}
    assert isinstance(found["running"], NotModified)
    assert isinstance(found["restarting"], NotModified)
    assert found["paused"].message == "cannot start a paused container, try unpause instead"
    assert found["dead"].message == "container is marked for removal and cannot be started"


def test_stop() -> None:
    found = refusals(lifecycle.check_stop)
    assert set(found) == {"created", "exited", "removing", "dead"}
    assert all(isinstance(error, NotModified) for error in found.values())


def test_kill_and_resize() -> None:
    found = refusals(lambda state: lifecycle.check_running(state, ID))
    assert set(found) == {"created", "exited", "removing", "dead"}
    assert found["exited"].message == f"container {ID} is not running"


def test_pause_and_unpause() -> None:
    pause = refusals(lambda state: lifecycle.check_pause(state, ID))
    assert set(pause) == set(STATES) - {"running"}
    assert pause["paused"].message == f"Container {ID} is already paused"
    assert pause["restarting"].message == f"Container {ID} is restarting, wait until the container is running"
    unpause = refusals(lambda state: lifecycle.check_unpause(state, ID))
    assert set(unpause) == set(STATES) - {"paused"}
    assert unpause["running"].message == f"Container {ID} is not paused"


def test_exec_and_top() -> None:
    exec_ = refusals(lambda state: lifecycle.check_exec(state, ID))
    assert set(exec_) == set(STATES) - {"running"}
    assert exec_["paused"].message == f"Container {ID} is paused, unpause the container before exec"
    with pytest.raises(Conflict, match="Container web is paused, unpause"):
        lifecycle.check_exec("paused", ID, "web")
    assert exec_["exited"].message == f"container {ID} is not running"
    assert set(refusals(lambda state: lifecycle.check_top(state, ID))) == set(STATES) - {"running", "paused"}


def test_attach_and_logs() -> None:
    attach = refusals(lambda state: lifecycle.check_attach(state, "web"))
    assert attach["paused"].message == "container web is paused, unpause the container before attach"
    assert set(attach) == {"paused", "restarting"}
    assert set(refusals(lifecycle.check_logs)) == {"removing", "dead"}


def test_remove() -> None:
    found = refusals(lambda state: lifecycle.check_remove(state, "web", force=False))
    assert set(found) == {"running", "paused", "restarting", "removing"}
    assert found["running"].message == (
        'cannot remove container "web": container is running: stop the container before removing or force remove'
    )
    assert found["paused"].message == 'cannot remove container "web": container is paused and must be unpaused first'
    assert found["removing"].message == "removal of container web is already in progress"
    assert set(refusals(lambda state: lifecycle.check_remove(state, "web", force=True))) == {"removing"}
