"""Restart policies and their back-off (Docker's restart manager)."""

from __future__ import annotations

from shared import signals
from shared.contracts.container import ContainerConfig, ContainerStatus, RestartPolicy

SECOND = 1_000_000_000
FIRST_DELAY = SECOND // 10
LONGEST_DELAY = 60 * SECOND
CALM = 10 * SECOND
"""Nanoseconds a run must last for the back-off to begin anew."""


def after_exit(policy: RestartPolicy, last: ContainerStatus, exit_code: int, at: int) -> int | None:
    """In how many nanoseconds to start again what ran (`last`) and ended at `at`; None: not at all.

    A signal that ends it for good (`ends_for_good`) holds for every policy; any other that a client sent keeps
    `unless-stopped` alone from starting it again.
    """
    if last.restart_canceled or (policy.name == "unless-stopped" and last.stopped_by_user):
        return None
    if not _wants(policy, exit_code, last.restart_count):
        return None
    if last.restart_delay == 0 or at - last.started_at >= CALM:
        return FIRST_DELAY
    return min(last.restart_delay * 2, LONGEST_DELAY)


def remaining(last: ContainerStatus, now: int) -> int:
    """Nanoseconds until the start that a `restarting` container waits for; the clock may have jumped."""
    return min(max(last.finished_at + last.restart_delay - now, 0), last.restart_delay)


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
