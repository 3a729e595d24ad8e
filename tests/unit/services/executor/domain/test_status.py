from __future__ import annotations

import pytest

from services.executor.domain import status
from services.executor.domain.status import Exit, Run
from shared.contracts.container import ContainerStatus, EndpointSettings
from shared.contracts.network import Sandbox
from shared.errors import Conflict

SANDBOX = Sandbox(
    container_id="c",
    sandbox_id="s",
    path="/run/netns/s",
    endpoints={"bridge": EndpointSettings(ip_address="172.17.0.2")},
    ports={"80/tcp": None},
    files={"/etc/hosts": "/h", "/etc/resolv.conf": "/r", "/etc/hostname": "/n"},
)
RUN = Run(pid=7, started_at=100, log_path="/log", sandbox=SANDBOX)


def test_a_run_from_start_to_end() -> None:
    running = status.started(ContainerStatus(error="old", exit_code=1), RUN)
    assert (running.state, running.pid, running.runs, running.error, running.exit_code) == ("running", 7, 1, "", 0)
    assert (running.sandbox_key, running.hosts_path, running.log_path) == ("/run/netns/s", "/h", "/log")
    assert running.networks["bridge"].ip_address == "172.17.0.2"
    ended = status.exited(running, Exit(3, at=200, oom_killed=True))
    assert (ended.state, ended.pid, ended.exit_code, ended.finished_at, ended.oom_killed) == ("exited", 0, 3, 200, True)
    assert (ended.networks, ended.ports, ended.sandbox_key) == ({}, {}, "")
    assert ended.hosts_path == "/h"
    assert ended.runs == 1


def test_restarts_are_counted_until_a_client_starts() -> None:
    running = status.started(ContainerStatus(), RUN)
    again = status.started(status.retrying(running, Exit(1, 200), 7), RUN, by_policy=True)
    assert (again.runs, again.restart_count, again.restart_delay) == (2, 1, 7)
    by_hand = status.started(status.exited(again, Exit(1, 300)), RUN)
    assert (by_hand.runs, by_hand.restart_count, by_hand.restart_delay) == (3, 0, 0)


def test_a_clients_stop_is_remembered_until_a_client_starts() -> None:
    stopped = status.exited(status.stopped_by_user(status.started(ContainerStatus(), RUN)), Exit(0, 1))
    assert stopped.stopped_by_user
    assert stopped.restart_canceled
    assert not status.started(stopped, RUN).stopped_by_user
    assert not status.started(stopped, RUN).restart_canceled


def test_a_signal_that_does_not_end_it_is_remembered_too() -> None:
    told = status.stopped_by_user(status.started(ContainerStatus(), RUN), for_good=False)
    assert (told.stopped_by_user, told.restart_canceled) == (True, False)
    assert status.stopped_by_user(status.stopped_by_user(told), for_good=False).restart_canceled
    again = status.started(status.retrying(told, Exit(1, 200), 7), RUN, by_policy=True)
    assert again.stopped_by_user


def test_a_failed_start_leaves_the_state_and_tells_why() -> None:
    failed = status.start_failed(ContainerStatus(), 127, "no such file")
    assert (failed.state, failed.exit_code, failed.error, failed.finished_at) == ("created", 127, "no such file", 0)
    waiting = status.retrying(status.started(ContainerStatus(), RUN), Exit(1, 200), 7)
    given_up = status.start_failed(waiting, 128, "boom")
    assert (given_up.state, given_up.exit_code, given_up.error, given_up.finished_at) == ("exited", 1, "boom", 200)
    killed = ContainerStatus(state="exited", exit_code=137)
    assert [status.start_failed(killed, code, "").exit_code for code in (127, 128)] == [127, 137]
    assert status.start_failed(ContainerStatus(), 128, "").exit_code == 128


def test_pause_removal_and_giving_up() -> None:
    running = status.started(ContainerStatus(), RUN)
    assert status.unpaused(status.paused(running)) == running
    assert status.with_execs(running, ("e",)).exec_ids == ("e",)
    waiting = status.retrying(status.with_execs(running, ("e",)), Exit(1, 200), 7)
    assert waiting.exec_ids == ()
    assert status.gave_up(waiting).state == "exited"
    assert status.dead(status.removing(status.gave_up(waiting)), "busy").error == "busy"
    with pytest.raises(Conflict):
        status.paused(waiting)
