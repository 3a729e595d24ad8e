"""How a container's status changes: each function takes the last status and gives the next."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shared.contracts.container import ContainerStatus, Health
from shared.contracts.network import Sandbox

from . import health, lifecycle
from .failure import UNKNOWN

UNKNOWN_EXIT = 255
"""Exit code of a process that ended unseen (the host went down), as dockerd records it."""


@dataclass(frozen=True)
class Exit:
    """How a run ended; `at` in nanoseconds."""

    code: int
    at: int
    oom_killed: bool = False


@dataclass(frozen=True)
class Run:
    """What a successful start came to."""

    pid: int
    started_at: int
    log_path: str = ""
    sandbox: Sandbox | None = None


def started(last: ContainerStatus, run: Run, *, by_policy: bool = False, checked: bool = False) -> ContainerStatus:
    """It runs. A start that no policy made forgets earlier stops and counts restarts anew.

    `checked`: it has a health check.
    """
    sandbox = run.sandbox or Sandbox(container_id="", sandbox_id="")
    return msgspec.structs.replace(
        last,
        state=lifecycle.after(last.state, "started"),
        pid=run.pid,
        started_at=run.started_at,
        runs=last.runs + 1,
        restart_count=last.restart_count if by_policy else 0,
        stopped_by_user=last.stopped_by_user and by_policy,
        restart_canceled=False,
        fenced=False,
        restart_delay=last.restart_delay if by_policy else 0,
        exit_code=0,
        error="",
        oom_killed=False,
        networks=sandbox.endpoints,
        ports=sandbox.ports,
        sandbox_id=sandbox.sandbox_id,
        sandbox_key=sandbox.path,
        resolv_conf_path=sandbox.files.get("/etc/resolv.conf", ""),
        hostname_path=sandbox.files.get("/etc/hostname", ""),
        hosts_path=sandbox.files.get("/etc/hosts", ""),
        log_path=run.log_path or last.log_path,
        health=health.begun(last.health) if checked else None,
    )


def start_failed(last: ContainerStatus, code: int, error: str) -> ContainerStatus:
    """It does not run, and why. One that waited for a restart is given up, and still tells how its last run ended.

    So does one whose start failed before its command counted, if that run did not end well.
    """
    if last.state == "restarting":
        return msgspec.structs.replace(gave_up(last), error=error)
    kept = last.exit_code if code == UNKNOWN else 0
    return msgspec.structs.replace(last, exit_code=kept or code, error=error)


def exited(last: ContainerStatus, end: Exit, *, error: str = "") -> ContainerStatus:
    """Its process ended and it stays down."""
    return _ended(last, "exited", end, error=error or last.error)


def retrying(last: ContainerStatus, end: Exit, delay: int) -> ContainerStatus:
    """Its process ended and its policy starts it again after a delay (nanoseconds)."""
    ended = _ended(last, "retrying", end, error=last.error)
    return msgspec.structs.replace(ended, restart_count=last.restart_count + 1, restart_delay=delay)


def gave_up(last: ContainerStatus) -> ContainerStatus:
    """The restart it waited for is called off."""
    return msgspec.structs.replace(last, state=lifecycle.after(last.state, "gave_up"), fenced=False)


def fenced(last: ContainerStatus) -> ContainerStatus:
    """It waits until its host holds its lease."""
    return msgspec.structs.replace(last, state=lifecycle.after(last.state, "postponed"), fenced=True)


def paused(last: ContainerStatus) -> ContainerStatus:
    """Its processes are frozen."""
    state = lifecycle.after(last.state, "paused")
    return msgspec.structs.replace(last, state=state, health=health.unwatched(last.health))


def held(last: ContainerStatus) -> ContainerStatus:
    """The engine itself pauses it for a moment; recovery lets it go on."""
    return msgspec.structs.replace(paused(last), held=True)


def unpaused(last: ContainerStatus) -> ContainerStatus:
    """Its processes go on."""
    return msgspec.structs.replace(last, state=lifecycle.after(last.state, "unpaused"), held=False)


def removing(last: ContainerStatus) -> ContainerStatus:
    """It is on its way out; recovery finishes what a crash interrupts."""
    return msgspec.structs.replace(last, state=lifecycle.after(last.state, "removing"))


def dead(last: ContainerStatus, error: str) -> ContainerStatus:
    """Its removal failed."""
    return msgspec.structs.replace(last, state=lifecycle.after(last.state, "failed_removal"), error=error)


def with_execs(last: ContainerStatus, exec_ids: tuple[str, ...], probe: str = "") -> ContainerStatus:
    """These execs are live in it; `probe` is that of its health check."""
    state = last.health and msgspec.structs.replace(last.health, probe=probe)
    return msgspec.structs.replace(last, exec_ids=exec_ids, health=state)


def with_health(last: ContainerStatus, state: Health, exec_ids: tuple[str, ...]) -> ContainerStatus:
    """Its health check gave a result."""
    return msgspec.structs.replace(last, health=state, exec_ids=exec_ids)


def stopped_by_user(last: ContainerStatus, *, for_good: bool = True) -> ContainerStatus:
    """A client sent it a signal; `for_good`: policies keep their hands off until somebody starts it."""
    return msgspec.structs.replace(last, stopped_by_user=True, restart_canceled=last.restart_canceled or for_good)


def _ended(last: ContainerStatus, event: lifecycle.Event, end: Exit, error: str) -> ContainerStatus:
    return msgspec.structs.replace(
        last,
        state=lifecycle.after(last.state, event),
        held=False,
        pid=0,
        exit_code=end.code,
        finished_at=end.at,
        oom_killed=end.oom_killed,
        error=error,
        networks={},
        ports={},
        sandbox_id="",
        sandbox_key="",
        exec_ids=(),
        health=health.unwatched(last.health),
    )
