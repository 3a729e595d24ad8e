"""Restart policies and their back-off (Docker's restart manager)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.container import ContainerConfig, ContainerStatus, RestartPolicy

from . import signals

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
CALM = 10.0
"""Seconds a run must last for the back-off to begin anew."""


@dataclass(frozen=True)
class Verdict:
    """`delay` in seconds until the next start; it is also the back-off to hand in after the next exit."""

    restart: bool
    delay: float


def after_exit(
    policy: RestartPolicy,
    exit_code: int,
    *,
    restarts: int,
    stopped: bool,
    ran_seconds: float,
    last_delay: float,
) -> Verdict:
    """Whether and when to start again what has just ended.

    `restarts` already made under this policy, `stopped`: a client ended it, `last_delay`: the delay before
    this run, 0 for none.
    """
    delay = _next_delay(last_delay, ran_seconds)
    return Verdict(restart=not stopped and _wants(policy, exit_code, restarts), delay=delay)


def _next_delay(last: float, ran_seconds: float) -> float:
    if last == 0 or ran_seconds >= CALM:
        return FIRST_DELAY
    return min(last * 2, LONGEST_DELAY)


def _wants(policy: RestartPolicy, exit_code: int, restarts: int) -> bool:
    if policy.name == "on-failure":
        limit = policy.maximum_retry_count
        return exit_code != 0 and (limit == 0 or restarts < limit)
    return policy.name in ("always", "unless-stopped")


def at_engine_start(policy: RestartPolicy, status: ContainerStatus) -> bool:
    """Whether a container that does not run comes back when the engine (or the host) starts.

    What a client stopped comes back under `always` only; what never ran stays as it is.
    """
    if status.runs == 0 or status.state in ("removing", "dead"):
        return False
    if status.stopped_by_user and policy.name != "always":
        return False
    return _wants(policy, status.exit_code, status.restart_count)


def ends_for_good(signal: int, config: ContainerConfig) -> bool:
    """Whether a signal that a client sends keeps the policy from starting the container again.

    As in Docker: every signal does, except that a configured stop signal leaves only itself and SIGKILL.
    """
    if not config.stop_signal or signal == signals.SIGKILL:
        return True
    return signals.stop_signal(config.stop_signal) == signal
