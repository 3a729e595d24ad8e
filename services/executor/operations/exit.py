"""A container's process ended."""

from __future__ import annotations

import asyncio
import logging

from shared.clock import now_ns
from shared.contracts import platform

from ..container import Container
from ..domain import lifecycle, restart, status
from ..domain.events import died
from . import health, release, remove, start
from .engine import Engine

log = logging.getLogger(__name__)


async def exited(engine: Engine, told: platform.Exited) -> None:
    """The platform's signal. It may come twice, late, or for a container that is no more."""
    container = engine.registry.find(told.id)
    if container is None:
        return
    async with container.lock:
        if engine.registry.find(told.id) is container and await _is_news(engine, container, told):
            await ended(engine, container, status.Exit(told.exit_code, told.exited_at, told.oom_killed))


async def _is_news(engine: Engine, container: Container, told: platform.Exited) -> bool:
    """Whether it is the present run that ended."""
    last = container.status
    if last.state not in lifecycle.ALIVE or told.exited_at == last.finished_at:
        return False
    if told.exited_at >= last.started_at:
        return True
    found = await engine.workload(container.id)  # an older run's signal, or the clock was set back
    return found is None or found.state == "stopped"


async def ended(engine: Engine, container: Container, end: status.Exit, *, retry: bool = True) -> None:
    """Records the exit and gives everything back; then `--rm`, the restart policy, or nothing. The lock is held.

    Without `retry` somebody else sees to the policy.
    """
    last = container.status
    health.unwatch(container)
    if end.oom_killed:
        engine.tell(container, "oom")
    engine.execs.stop(container.id)
    if container.spec.host_config.auto_remove and not container.kept and last.leaving is None:
        await remove.after_exit(engine, container, end)
        return
    delay = restart.after_exit(container.spec.host_config.restart_policy, last, end.code, end.at) if retry else None
    fenced = container.spec.generation and engine.movables is not None and not engine.movables.may_run(container.id)
    surroundings = engine.tasks.start(release.surroundings(engine, container), "surroundings")
    await release.networks_left(container.spec, surroundings)
    following = status.exited(last, end) if delay is None else status.retrying(last, end, delay)
    await engine.save(container, following)
    engine.emit(died(container.spec, end, last.started_at, now_ns()), container)
    # Only now, with the exit code durable, may the platform forget it.
    container.cleanup = engine.tasks.start(_clean(engine, container, surroundings), "cleanup")
    if delay is not None and fenced:
        await start.postpone(engine, container)
    elif delay is not None:
        start.retry(engine, container, delay)


async def _clean(engine: Engine, container: Container, surroundings: asyncio.Task[None]) -> None:
    await release.workload(engine, container.id)
    await surroundings


async def check(engine: Engine, container: Container) -> None:
    """Asks the platform whether the process still runs: for when a signal may have been lost."""
    async with container.lock:
        if container.status.state not in lifecycle.ALIVE:
            return
        found = await engine.workload(container.id)
        if found is None:
            await lost(engine, container)
        elif found.state == "stopped":
            await ended(engine, container, status.Exit(found.exit_code, found.exited_at, found.oom_killed))


async def lost(engine: Engine, container: Container, *, retry: bool = True) -> None:
    """Its process is gone and nobody knows how it ended. The lock is held."""
    await ended(engine, container, status.Exit(status.UNKNOWN_EXIT, now_ns()), retry=retry)
