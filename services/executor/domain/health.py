"""Health checks: what is run when, and what a result means (Docker's daemon/health.go)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shared.contracts.container import ContainerConfig, Health, HealthLog

from .text import SECOND, go_duration

INTERVAL = TIMEOUT = 30 * SECOND
START_INTERVAL = 5 * SECOND
RETRIES = 3
MOST_RESULTS = 5
MOST_OUTPUT = 4096
"""Bytes of a probe's output that are kept."""
SHELL = ("/bin/sh", "-c")
NO_VERDICT = -1
"""Exit code of a probe that could not be run, or not to its end."""


@dataclass(frozen=True)
class Check:
    """A container's health check with Docker's defaults filled in; times in nanoseconds."""

    command: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int
    start_interval: int
    retries: int

    def pause(self, health: Health, ran: int) -> int:
        """Until the next probe, from the end of the last one (or the start); `ran`: how long it has run by then."""
        starting = ran < self.start_period and health.status == "starting"
        return self.start_interval if starting else self.interval

    def due(self, health: Health, started_at: int, now: int) -> int:
        """Until the next probe, for who takes over what another process watched; the clock may have jumped."""
        last = health.log[-1].end if health.log and health.log[-1].start >= started_at else started_at
        pause = self.pause(health, last - started_at)
        return min(max(last + pause - now, 0), pause)

    def observed(self, health: Health, started_at: int, result: HealthLog) -> Health:
        """The health after one more result."""
        log = (*health.log, result)[-MOST_RESULTS:]
        if result.exit_code == 0:
            return Health(status="healthy", failing_streak=0, log=log)
        if health.status == "starting" and result.start - started_at < self.start_period:
            return msgspec.structs.replace(health, log=log, probe="")
        streak = health.failing_streak + 1
        status = "unhealthy" if streak >= self.retries else health.status
        return Health(status=status, failing_streak=streak, log=log)


def check_of(config: ContainerConfig) -> Check | None:
    """The check of a container; None where it has none, or of a kind that does not exist."""
    asked = config.healthcheck
    if asked is None or not asked.test or asked.test[0] not in ("CMD", "CMD-SHELL"):
        return None
    shell = (config.shell or SHELL) if asked.test[0] == "CMD-SHELL" and asked.test[1:] else ()
    return Check(
        command=(*shell, *asked.test[1:]),
        interval=asked.interval or INTERVAL,
        timeout=asked.timeout or TIMEOUT,
        start_period=asked.start_period,
        start_interval=asked.start_interval or START_INTERVAL,
        retries=asked.retries if asked.retries > 0 else RETRIES,
    )


def begun(last: Health | None) -> Health:
    """The health of a container that has just started: earlier results stay to be seen."""
    return Health(status="starting", log=last.log if last else ())


def unwatched(last: Health | None) -> Health | None:
    """The health of a container that is paused or has ended: nothing vouches for it any more."""
    return None if last is None else msgspec.structs.replace(last, status="unhealthy", probe="")


class Output:
    """A probe's output, up to its bound."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._more = False

    def add(self, data: bytes) -> None:
        room = MOST_OUTPUT - len(self._kept)
        self._kept += data[:room]
        self._more = self._more or len(data) > room

    def text(self) -> str:
        """What was kept, and `...` when that is not all."""
        return self._kept.decode(errors="replace") + ("..." if self._more else "")


def timed_out(timeout: int, output: str) -> str:
    """What the result of a probe says that took too long."""
    return f"Health check exceeded timeout ({go_duration(timeout)}){': ' if output else ''}{output}"
