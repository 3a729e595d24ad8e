"""A container leaves for another host: its part here, and how everything is taken back."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from shared import signals
from shared.contracts import platform
from shared.contracts.container import ContainerStatus, Leaving
from shared.contracts.moving import DepartRequest, Held, HoldRequest, MoveRef
from shared.errors import Conflict, NotFound, ShoalError

from ..container import Container
from ..domain import lifecycle, moving
from ..domain.mounts.resolve import volume_names
from . import exit, health, release, start, stop
from .create import remove_volume
from .engine import Engine
from .exec_table import Exec

log = logging.getLogger(__name__)

PROBE_PATIENCE = 10.0
"""Seconds until what runs in a container beside its program, and was killed, has ended."""


async def depart(engine: Engine, request: DepartRequest) -> Held:
    """It is marked: recovery leaves it alone, clients may only end it."""
    container = engine.registry.get(request.id)
    async with container.lock:
        if container.removing:
            raise lifecycle.removal_in_progress(container.spec.name)
        moving.check_depart(container.spec, container.status, request.migration)
        if container.spec.generation:  # who moves it says where it is to be
            await engine.save_spec(container, container.spec, bound=True)
        if container.status.leaving is None:
            leaving = Leaving(migration=request.migration, node=request.node, driver=request.driver)
            await engine.save(container, msgspec.structs.replace(container.status, leaving=leaving))
    return Held(spec=container.spec, status=container.status)


async def hold(engine: Engine, request: HoldRequest) -> Held:
    """From here on its lock is held, until it stays or has left."""
    container = engine.registry.get(request.id)
    moving.check_leaving(container.status, request.migration)
    if container.held_for != request.migration:
        if request.stop:
            await _bring_down(engine, container)
        await _take_lock(engine, container, request)
    leaving = container.status.leaving
    assert leaving is not None
    return Held(spec=container.spec, status=container.status, ran=leaving.ran)


async def _bring_down(engine: Engine, container: Container) -> None:
    """The record first: who finds it stopped after a crash knows that it is to run."""
    if not container.running:
        return
    await _mark(engine, container, ran=True)
    container.kept = True
    try:
        patience = container.spec.config.stop_timeout
        seconds = engine.stop_timeout if patience is None else patience
        signal = signals.stop_signal(container.spec.config.stop_signal)
        await stop.bring_down(engine, container, signal, seconds if seconds >= 0 else None)
    except Conflict as error:  # it has ended by itself
        log.info("container %s: %s", container.id, error)
    finally:
        container.kept = False
    await container.clean()


async def _mark(engine: Engine, container: Container, *, held: bool = False, ran: bool = False) -> None:
    leaving = container.status.leaving
    assert leaving is not None
    marked = msgspec.structs.replace(leaving, held=leaving.held or held, ran=leaving.ran or ran)
    await engine.save(container, msgspec.structs.replace(container.status, leaving=marked))


async def _take_lock(engine: Engine, container: Container, request: HoldRequest) -> None:
    if not request.stop:
        await _without_execs(engine, container, kill=request.kill_execs)
    await container.lock.acquire()
    try:
        moving.check_leaving(container.status, request.migration)
        moving.check_hold(container.spec, container.status, stop=request.stop)
        health.unwatch(container)
        await _mark(engine, container, held=True)
    except BaseException:
        container.lock.release()
        raise
    container.held_for = request.migration


async def _without_execs(engine: Engine, container: Container, *, kill: bool) -> None:
    """Probes of its health end at once; what clients run in it is a reason not to move it, unless they said
    otherwise.
    """
    async with container.lock:
        health.unwatch(container)
    running = [each for each in engine.execs if each.request.id == container.id and each.running]
    clients = [each for each in running if each.id != container.probe]
    if clients and not kill:
        what = "an exec runs" if len(clients) == 1 else f"{len(clients)} execs run"
        raise Conflict(f"{what} in container {container.spec.name} and would end: allow that, or wait")
    await asyncio.gather(*(_end(engine, container, each) for each in running))


async def _end(engine: Engine, container: Container, execution: Exec) -> None:
    request = platform.SignalRequest(id=container.id, exec_id=execution.id, signal=signals.SIGKILL)
    try:
        await engine.bus.call(platform.SIGNAL, request)
    except (NotFound, Conflict) as error:
        log.info("exec %s: %s", execution.id, error)
    try:
        async with asyncio.timeout(PROBE_PATIENCE):
            await execution.over.wait()
    except TimeoutError:
        raise Conflict(f"an exec in container {container.spec.name} was killed, and does not end") from None


async def stay(engine: Engine, request: MoveRef) -> int:
    """As it was before: the mark goes, health is looked at again, one that was stopped for the move runs again."""
    container = engine.registry.find(request.id)
    if container is None or container.status.leaving is None:
        return 0
    if container.status.leaving.migration != request.migration:
        return 0
    if container.held_for != request.migration:
        await container.lock.acquire()
    container.held_for = ""
    try:
        return await _stay(engine, container, container.status.leaving)
    finally:
        container.lock.release()


async def _stay(engine: Engine, container: Container, leaving: Leaving) -> int:
    revision = await engine.save(container, _unmarked(container.status))
    if leaving.ran and container.status.state not in lifecycle.ALIVE:
        try:
            return await start.start_locked(engine, container)
        except ShoalError as error:
            log.error("container %s does not run again after a migration that failed: %s", container.id, error)
    elif container.status.state == "running":
        health.take_over(engine)
        engine.tasks.start(_look(engine, container), "stayed")
    return revision


async def _look(engine: Engine, container: Container) -> None:
    """It may have ended while nobody could be told."""
    try:
        await exit.check(engine, container)
    except ShoalError as error:
        log.warning("container %s: %s", container.id, error)


def _unmarked(status: ContainerStatus) -> ContainerStatus:
    return msgspec.structs.replace(status, leaving=None)


async def leave(engine: Engine, request: DepartRequest) -> None:
    """It is elsewhere: whoever waits to do something with it is told where."""
    container = engine.registry.find(request.id)
    if container is None or container.status.leaving is None:
        return
    moving.check_leaving(container.status, request.migration)
    if container.held_for != request.migration:
        await container.lock.acquire()
        container.held_for = request.migration
    await engine.save(container, msgspec.structs.replace(container.status, moved_to=request.node))
    engine.depart(container, request.node)
    container.lock.close(moving.moved(container.id, request.node))


async def give_up(engine: Engine, request: MoveRef) -> None:
    """Nothing of it stays here: process, network, volumes, layer, records. Nobody is told of an end: it goes on
    elsewhere.
    """
    container = engine.departed.get(request.id)
    if container is None:
        return
    await release.moved(engine, container.id, release.holdings(container))
    for name in volume_names(container.spec.mounts):
        await remove_volume(engine, name, but=container.id)
    await engine.records.forget(container.spec)
    await engine.records.bury(container.id)
    engine.departed.pop(request.id, None)
