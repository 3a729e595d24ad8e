"""Ending a container's process: stop, kill, and the restart that is both."""

from __future__ import annotations

import logging

from shared import signals
from shared.contracts import platform
from shared.contracts.common import Ref
from shared.contracts.container import ContainerStatus
from shared.contracts.executor import KillRequest, StopRequest
from shared.errors import Conflict, Internal, NotFound, ShoalError

from ..container import Container
from ..domain import lifecycle, restart, status
from . import exit, health, start
from .engine import Engine

log = logging.getLogger(__name__)

KILL_PATIENCE = 10.0
"""Seconds from SIGKILL to the report of the exit."""
TELL_PATIENCE = 2.0
"""Seconds to wait for the hubs to know that it is to stay down."""
REPORT_PATIENCE = 2.0
"""Seconds to wait for an exit report once the process is known to be gone."""


async def stop(engine: Engine, request: StopRequest) -> int:
    """The revision of the status that says it stopped."""
    container = engine.registry.get(request.id)
    lifecycle.check_stop(container.status.state)
    await bring_down(engine, container, _signal(container, request), _patience(engine, container, request))
    if engine.movables is not None:  # else, if this host died now, another would start it
        await engine.movables.told(container.id, TELL_PATIENCE)
    return container.status_revision


def _patience(engine: Engine, container: Container, request: StopRequest) -> float | None:
    """Seconds until SIGKILL; None: never."""
    for seconds in (request.timeout, container.spec.config.stop_timeout, engine.stop_timeout):
        if seconds is not None:
            return seconds if seconds >= 0 else None
    return None


async def bring_down(engine: Engine, container: Container, signal: int, patience: float | None) -> None:
    """Sends the signal, waits, kills. Returns when the exit is recorded and everything given back."""
    try:
        await send(engine, container, signal)
        if not await container.down(patience):
            await kill_now(engine, container)
    except Conflict:
        if container.running:
            raise
        log.info("%s ended just before a signal", container.id)
    async with container.lock:  # the exit is being recorded
        pass
    await container.clean()
    engine.tell(container, "stop")


async def kill(engine: Engine, request: KillRequest) -> None:
    """Any signal; SIGKILL also waits for the end, as `docker kill` does."""
    signal = signals.deliverable(request.signal or "SIGKILL")
    container = engine.registry.get(request.id)
    try:
        lifecycle.check_running(container.status.state, container.id)
        if signal == signals.SIGKILL:
            await kill_now(engine, container)
        else:
            await send(engine, container, signal)
    except ShoalError as error:
        reference = request.reference or container.spec.name
        raise type(error)(f"cannot kill container: {reference}: {error.message}", **error.details) from None


async def kill_now(engine: Engine, container: Container) -> None:
    """SIGKILL, until the exit is recorded. Raises `Conflict` when it does not run, `Internal` when it will not die."""
    await send(engine, container, signals.SIGKILL)
    if not await container.down(KILL_PATIENCE):
        await exit.check(engine, container)  # the report may have been lost
        if container.running:
            raise Internal("tried to kill container, but did not receive an exit event")
    async with container.lock:  # the exit is being recorded
        pass


async def send(engine: Engine, container: Container, signal: int) -> None:
    """Sends a client's signal and remembers what it means for the restart policy.

    One that waits for its policy's next start has no process to take it: only the wait is called off.
    """
    async with container.lock:
        lifecycle.check_running(container.status.state, container.id)
        ends = restart.ends_for_good(signal, container.spec.config)
        marked = status.stopped_by_user(container.status, for_good=ends)
        if container.status.state == "restarting":
            await _call_off_restart(engine, container, marked, ends)
            return
        await _remember(engine, container, marked)
        delivered = await _deliver(engine, container, signal)
        if delivered and ends and container.status.state == "paused":
            await _thaw(engine, container)
        engine.tell(container, "kill", signal=str(signal))
    if not delivered:
        await _gone(engine, container)


async def _call_off_restart(engine: Engine, container: Container, marked: ContainerStatus, ends: bool) -> None:
    if ends and container.retry is not None:
        container.retry.cancel()
        container.retry = None
    await engine.save(container, status.gave_up(marked) if ends else marked)


async def _remember(engine: Engine, container: Container, marked: ContainerStatus) -> None:
    """Before the signal: a crash in between must not let a policy bring back what a client ended."""
    if container.spec.host_config.restart_policy.name == "no":
        container.become(marked)  # nobody will ask for it
    else:
        await engine.save(container, marked)


async def _deliver(engine: Engine, container: Container, signal: int) -> bool:
    """Whether there was a process to take it."""
    try:
        await engine.bus.call(platform.SIGNAL, platform.SignalRequest(id=container.id, signal=signal))
    except (NotFound, Conflict) as error:
        log.info("signal %d to %s: %s", signal, container.id, error)
        return False
    return True


async def _thaw(engine: Engine, container: Container) -> None:
    """A frozen process takes no signal but SIGKILL, and that only once it is thawed."""
    try:
        await engine.bus.call(platform.UNPAUSE, Ref(id=container.id))
    except ShoalError as error:
        log.warning("cannot unpause %s: %s", container.id, error)
        return
    await engine.save(container, status.unpaused(container.status))
    health.watch(engine, container)
    engine.tell(container, "unpause")


async def _gone(engine: Engine, container: Container) -> None:
    """The process ended before the signal: its report is on the way, or was lost."""
    if not await container.down(REPORT_PATIENCE):
        await exit.check(engine, container)


def _signal(container: Container, request: StopRequest) -> int:
    if request.signal:
        return signals.deliverable(request.signal)
    return signals.stop_signal(container.spec.config.stop_signal)


async def restart_container(engine: Engine, request: StopRequest) -> int:
    """Stops where it runs, starts; `--rm` does not remove it in between."""
    container = engine.registry.staying(request.id)
    signal = _signal(container, request)
    container.kept = True
    try:
        if container.running:
            await bring_down(engine, container, signal, _patience(engine, container, request))
        async with container.lock:
            revision = await start.start_locked(engine, container)
    except ShoalError as error:
        reference = request.reference or container.spec.name
        raise type(error)(f"Cannot restart container {reference}: {error.message}", **error.details) from None
    finally:
        container.kept = False
    engine.tell(container, "restart")
    return revision
