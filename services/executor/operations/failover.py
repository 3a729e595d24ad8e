"""Containers of hosts that were lost are started here; what others took while this host was lost is dropped."""

from __future__ import annotations

import logging

import msgspec

from shared import signals
from shared.contracts import image_store, platform
from shared.contracts.container import ContainerSpec
from shared.contracts.movable import MovableRecord, TakeRequest
from shared.errors import Conflict, DeadlineExceeded, ShoalError, Unavailable

from ..adapters.movables import Movables
from ..container import Container
from ..domain import movable
from . import health, release, start
from .engine import Engine

log = logging.getLogger(__name__)


def _movables(engine: Engine) -> Movables:
    if engine.movables is None:
        raise Unavailable("this host is in no cluster")
    return engine.movables


async def take(engine: Engine, request: TakeRequest) -> int:
    """The revision of the status that says it runs here. `Conflict`: that is under way already."""
    if request.id in engine.taking:
        raise Conflict(f"container {request.id} is being started here already")
    engine.taking.add(request.id)
    try:
        return await _take(engine, request)
    finally:
        engine.taking.discard(request.id)


async def _take(engine: Engine, request: TakeRequest) -> int:
    try:
        record = await _movables(engine).take(request.id, request.revision)
    except (Unavailable, DeadlineExceeded):
        engine.tasks.start(settle(engine), "settle")  # it may be this host's, only the answer got lost
        raise
    return await _bring(engine, record)


async def _bring(engine: Engine, record: MovableRecord) -> int:
    """Makes and starts what is this host's; what fails here may be tried elsewhere."""
    stale = engine.registry.find(record.spec.id)
    if stale is not None:
        await _drop(engine, stale)
    try:
        container = await _make(engine, record.spec)
        async with container.lock:
            revision = await start.run(engine, container, by_policy=True)
    except ShoalError:
        failed = engine.registry.find(record.spec.id)
        if failed is not None:
            await _drop(engine, failed)
        await _movables(engine).give_back(record.spec.id)
        raise
    log.warning("container %s was started here, since its host is lost", record.spec.id)
    return revision


async def _make(engine: Engine, spec: ContainerSpec) -> Container:
    await engine.records.place(spec.id)
    try:
        snapshot = await engine.bus.call(
            image_store.PREPARE, image_store.PrepareRequest(key=spec.id, reference=spec.image_id)
        )
        spec = msgspec.structs.replace(spec, graph_driver=snapshot.graph_driver)
        container = Container(spec, rootfs=snapshot.mounts)
        engine.registry.add(container)
        container.spec_revision = await engine.records.bring(spec)
    except ShoalError:
        known = engine.registry.find(spec.id)
        if known is not None:
            engine.registry.discard(known)
        await engine.records.leave(spec)
        await release.everything(engine, spec.id, release.Holdings())
        await engine.records.bury(spec.id)
        raise
    return container


async def _drop(engine: Engine, container: Container) -> None:
    """Nothing of it stays on this host, and nobody is told: it is on another."""
    async with container.lock:
        container.removing = True
        health.unwatch(container)
        engine.execs.stop(container.id)
        if container.retry is not None:
            container.retry.cancel()
        await container.clean()
        try:
            await engine.bus.call(platform.SIGNAL, platform.SignalRequest(id=container.id, signal=signals.SIGKILL))
        except ShoalError:
            pass  # it does not run
        await release.everything(engine, container.id, release.Holdings())
        await engine.records.leave(container.spec)
        engine.registry.discard(container)
        await engine.records.bury(container.id)


async def settle(engine: Engine) -> None:
    """This host holds its lease, perhaps anew: what is on it and what the hubs say come to agree.

    One at a time, and not what is just being taken: two that make one container would undo each other's work.
    """
    async with engine.settling:
        await _settle(engine)


async def _settle(engine: Engine) -> None:
    movables = _movables(engine)
    records = await movables.records()
    local = {container.id: (container.spec, container.status) for container in engine.registry}
    for action in movable.settle(engine.node, local, records):
        log.info("settling: %s %s", type(action).__name__, action.id)
        try:
            await _act(engine, action, records.get(action.id))
        except ShoalError as error:
            log.warning("settling %s: %s", action.id, error)
    for id in movables.marked():
        if engine.registry.find(id) is None:
            movables.unmark(id)


async def _act(engine: Engine, action: movable.Action, record: MovableRecord | None) -> None:
    movables, container = _movables(engine), engine.registry.find(action.id)
    match action:
        case movable.Drop():
            if container is not None:
                await _drop(engine, container)
            await movables.leave(action.id)
        case movable.Tell() if container is not None:
            engine.moved(container)
        case movable.Go() if container is not None and container.status.fenced:
            if container.retry is not None:
                container.retry.cancel()
            start.retry(engine, container, 0)
        case movable.Claim() if container is not None and container.running:
            await movables.admit(container.spec)
        case movable.Make() if container is None and record is not None and action.id not in engine.taking:
            engine.taking.add(action.id)
            try:
                await _bring(engine, record)
            finally:
                engine.taking.discard(action.id)
        case movable.Forget() if container is None:
            await movables.forget(action.id)
