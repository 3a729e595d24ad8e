from __future__ import annotations

import pytest

from services.executor.domain import moving
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig, Leaving, MountPoint
from shared.contracts.moving import Held
from shared.errors import Conflict

SPEC = ContainerSpec(
    id="c", name="web", created=1, config=ContainerConfig(), host_config=HostConfig(),
    mounts=(MountPoint(type="volume", destination="/d", name="data", source="/there/data"),
            MountPoint(type="tmpfs", destination="/t")),
)  # fmt: skip
LEAVING = Leaving(migration="m", node="t")


@pytest.mark.parametrize("state", ["paused", "restarting", "removing", "dead"])
def test_only_what_runs_or_is_down_departs(state: str) -> None:
    with pytest.raises(Conflict, match=f"is {state}"):
        moving.check_depart(SPEC, ContainerStatus(state=state), "m")  # type: ignore[arg-type]
    for fine in ("created", "running", "exited"):
        moving.check_depart(SPEC, ContainerStatus(state=fine, leaving=LEAVING), "m")


def test_one_migration_at_a_time() -> None:
    status = ContainerStatus(state="running", leaving=LEAVING)
    with pytest.raises(Conflict, match="already"):
        moving.check_depart(SPEC, status, "other")
    with pytest.raises(Conflict, match="broken off"):
        moving.check_leaving(status, "other")
    with pytest.raises(Conflict, match="is being migrated"):
        moving.check_stays("web", status)
    moving.check_leaving(status, "m")
    moving.check_stays("web", ContainerStatus())


def test_a_live_move_needs_what_runs_and_a_cold_one_what_does_not() -> None:
    moving.check_hold(SPEC, ContainerStatus(state="running"), stop=False)
    moving.check_hold(SPEC, ContainerStatus(state="exited"), stop=True)
    with pytest.raises(Conflict):
        moving.check_hold(SPEC, ContainerStatus(state="exited"), stop=False)
    with pytest.raises(Conflict):
        moving.check_hold(SPEC, ContainerStatus(state="running"), stop=True)


def test_what_ran_is_about_to_run_and_counters_stay() -> None:
    last = ContainerStatus(
        state="exited", exit_code=137, runs=4, restart_count=2, leaving=LEAVING, sandbox_id="s", log_path="/l",
        stopped_by_user=True, restart_canceled=True,
    )  # fmt: skip
    ran = moving.arrived(Held(spec=SPEC, status=last, ran=True))
    assert (ran.state, ran.runs, ran.restart_count, ran.leaving, ran.sandbox_id) == ("restarting", 4, 2, None, "")
    assert not ran.stopped_by_user
    assert not ran.restart_canceled
    still = moving.arrived(Held(spec=SPEC, status=last))
    assert (still.state, still.exit_code, still.stopped_by_user) == ("exited", 137, True)


def test_folders_are_those_of_the_host() -> None:
    here = moving.at_home(SPEC, {"UpperDir": "/u"}, {"data": "/here/data"})
    assert here.graph_driver == {"UpperDir": "/u"}
    assert [point.source for point in here.mounts] == ["/here/data", ""]


def test_who_asks_for_what_left_is_told_where_it_is() -> None:
    error = moving.moved("c", "t")
    assert (error.kind, error.details) == ("not_found", {"moved_to": "t"})
