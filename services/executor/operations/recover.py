"""Meeting the node anew: compare, then do what the plan says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared import signals
from shared.clock import now_ns
from shared.contracts import network, platform
from shared.contracts.base import Empty
from shared.contracts.container import ContainerStatus
from shared.errors import AlreadyExists, ShoalError, Unavailable

from ..adapters.records import Stored
from ..container import Container
from ..domain import lifecycle, recovery, restart, status
from ..domain.health import check_of
from ..domain.sandbox import sandbox_request
from ..domain.workload import donor_ids
from . import exit, freeze, health, networks, release, remove, start
from .engine import Engine
from .execs import adopt as adopt_exec

log = logging.getLogger(__name__)

T = TypeVar("T")

ON_THEIR_WAY = ("leaving", "receiving", "held")
"""States of workloads whose processes leave for, or come from, another host."""
PATIENCE = 60.0
"""Seconds an executor waits for its neighbours when it starts."""


async def load(engine: Engine) -> recovery.Recorded:
    """Fills the registry from the records."""
    stored = await engine.records.load()
    for container_id, (spec, revision) in stored.specs.items():
        last, status_revision = stored.statuses.get(container_id, (ContainerStatus(), 0))
        for exec_id in last.exec_ids:
            adopt_exec(engine, exec_id, container_id, None)
        container = Container(spec, last, spec_revision=revision, status_revision=status_revision)
        if last.moved_to:
            engine.depart(container, last.moved_to)
            continue
        engine.registry.add(container)
        if last.leaving is not None and last.leaving.held:
            await container.lock.acquire()
            container.held_for = last.leaving.migration
    return _recorded(stored)


def _recorded(stored: Stored) -> recovery.Recorded:
    """Without what migrations are about to bring, or have taken away: their migrators see to that."""
    elsewhere = {container_id for container_id, (last, _) in stored.statuses.items() if last.moved_to}
    elsewhere |= {each for each, place in stored.placements.items() if place.incoming and each not in stored.specs}
    placed = {each: place for each, place in stored.placements.items() if each not in elsewhere}
    return recovery.Recorded(
        specs={each: spec for each, (spec, _) in stored.specs.items() if each not in elsewhere},
        statuses={each: last for each, (last, _) in stored.statuses.items() if each not in elsewhere},
        placed=frozenset(placed),
        making={
            each: place.making for each, place in stored.placements.items() if place.making and each not in elsewhere
        },
        names={name: holder for name, holder in stored.names.items() if holder not in elsewhere},
        elsewhere=frozenset(elsewhere),
    )


async def at_start(engine: Engine, recorded: recovery.Recorded) -> None:
    """Before the first request: records and host agree, or what is missing is under way."""
    listed, sandboxes = await asyncio.gather(
        _waiting(lambda: engine.bus.call(platform.LIST, Empty())),
        _waiting(lambda: engine.bus.call(network.SANDBOXES, Empty())),
    )
    observed = recovery.Observed(
        workloads=_here(listed),
        moving=_moving(listed),
        sandboxes=frozenset(sandbox.container_id for sandbox in sandboxes.sandboxes),
        engine_started=engine.paths.engine_started(),
    )
    await _follow(engine, recorded, observed)
    await _execs(engine, listed.execs)
    await asyncio.gather(*(_reconcile(engine, sandbox) for sandbox in sandboxes.sandboxes if _is_free(engine, sandbox)))
    health.take_over(engine)


def _here(listed: platform.ListReply) -> dict[str, platform.Workload]:
    return {each.id: each for each in listed.workloads if each.state not in ON_THEIR_WAY}


def _moving(listed: platform.ListReply) -> frozenset[str]:
    return frozenset(each.id for each in listed.workloads if each.state in ON_THEIR_WAY)


def _is_free(engine: Engine, sandbox: network.Sandbox) -> bool:
    """Whether it is not of a container that is held to be moved."""
    container = engine.registry.find(sandbox.container_id)
    return container is None or not container.held_for


async def _reconcile(engine: Engine, sandbox: network.Sandbox) -> None:
    try:
        await networks.reconcile(engine, sandbox)
    except ShoalError as error:
        log.error("container %s: its networks are not as recorded: %s", sandbox.container_id, error)


async def again(engine: Engine) -> None:
    """The platform started anew, or the broker's connection was restored: signals may have been lost.

    The records are looked at before the host is, so that what starts meanwhile is not taken for lost.
    """
    recorded = recovery.Recorded(
        specs={container.id: container.spec for container in engine.registry},
        statuses={container.id: container.status for container in engine.registry},
        names={container.spec.name: container.id for container in engine.registry},
        elsewhere=frozenset(engine.departed),
    )
    listed = await _waiting(lambda: engine.bus.call(platform.LIST, Empty()))
    observed = recovery.Observed(workloads=_here(listed), moving=_moving(listed))
    await _follow(engine, recorded, observed)
    await _execs(engine, listed.execs)
    health.take_over(engine)


async def _waiting(call: Callable[[], Awaitable[T]]) -> T:
    """A neighbour may still be starting."""
    give_up = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            return await call()
        except Unavailable:
            if asyncio.get_running_loop().time() > give_up:
                raise
            await asyncio.sleep(0.1)


async def _execs(engine: Engine, ended: tuple[platform.ExecExit, ...]) -> None:
    for each in ended:
        adopt_exec(engine, each.exec_id, each.container_id, each.exit_code)
        release.exec_record(engine, each.exec_id)


async def _follow(engine: Engine, recorded: recovery.Recorded, observed: recovery.Observed) -> None:
    actions = recovery.plan(recorded, observed)
    for action in actions:
        log.info("recovery: %s %s", type(action).__name__, action.id)
    restarts = [action.id for action in actions if isinstance(action, recovery.Restart)]
    others = (action for action in actions if not isinstance(action, recovery.Restart))
    await asyncio.gather(*(_act(engine, action, recorded, observed) for action in others))
    if restarts:
        engine.tasks.start(_bring_back(engine, restarts), "restarts")


async def _act(
    engine: Engine, action: recovery.Action, recorded: recovery.Recorded, observed: recovery.Observed
) -> None:
    match action:
        case recovery.Bury():
            engine.tasks.start(_bury(engine, action.id, action.volumes), "bury")
        case recovery.Made():
            await engine.records.making(action.id, ())
        case recovery.ForgetName():
            await engine.records.release_name(action.id, action.holder)
        case recovery.RestoreName():
            await _restore_name(engine, recorded.specs[action.id].name, action.id)
        case recovery.ReleaseSandbox():
            engine.tasks.start(release.network_stack(engine, action.id, keep_files=True), "sandbox")
        case recovery.DropWorkload() if engine.registry.find(action.id) is None:
            engine.tasks.start(_drop(engine, action.id), "drop")
        case _:
            container = engine.registry.find(action.id)
            if container is not None and container.id in recorded.specs:  # what was made since is no part of the plan
                await _settle(engine, container, action, recorded, observed)


async def _settle(
    engine: Engine,
    container: Container,
    action: recovery.Action,
    recorded: recovery.Recorded,
    observed: recovery.Observed,
) -> None:
    """One container; nothing when somebody changed it since the plan was made."""
    async with container.lock:
        if container.status is not recorded.statuses.get(container.id, container.status) or container.removing:
            return
        workload = observed.workloads.get(container.id)
        match action:
            case recovery.Adopt() if workload is not None:
                await _adopt(engine, container, workload)
            case recovery.Refreeze():
                await _refreeze(engine, container)
            case recovery.LetGo() if not container.holds:
                await freeze.let_go(engine, container)
            case recovery.RecordExit() if workload is not None:
                await exit.ended(engine, container, _end_of(workload))
            case recovery.RecordLoss():
                await exit.lost(engine, container, retry=not observed.engine_started)
            case recovery.AutoRemove():
                await remove.automatically(engine, container)
            case recovery.DropWorkload():
                await _drop(engine, container.id)
            case recovery.Retry() if container.retry is None:
                start.retry(engine, container, restart.remaining(container.status, now_ns()))


def _end_of(workload: platform.Workload) -> status.Exit:
    return status.Exit(workload.exit_code, workload.exited_at, workload.oom_killed)


async def _adopt(engine: Engine, container: Container, workload: platform.Workload) -> None:
    """Its start succeeded, only nobody wrote it down."""
    request = sandbox_request(container.spec)
    sandbox = None if request is None else await engine.bus.call(network.SANDBOX, request)
    run = status.Run(workload.pid, workload.started_at, workload.log_path, sandbox)
    policy = container.status.state == "restarting"
    checked = check_of(container.spec.config) is not None
    await engine.save(container, status.started(container.status, run, by_policy=policy, checked=checked))
    engine.tell(container, "start")
    if workload.state == "stopped":
        await exit.ended(engine, container, _end_of(workload))


async def _refreeze(engine: Engine, container: Container) -> None:
    change = status.unpaused if container.status.state == "paused" else status.paused
    await engine.save(container, change(container.status))


async def _bury(engine: Engine, container_id: str, volumes: tuple[str, ...]) -> None:
    container = engine.registry.find(container_id)
    if container is not None:  # its removal was to take its anonymous volumes along
        container.removing = True
        await _kill(engine, container_id)
        await remove.free_volumes(engine, container, remove.anonymous(container))
        container.spec_revision = await engine.records.forget(container.spec)
        engine.registry.discard(container)
        engine.tell(container, "destroy")
    await _kill(engine, container_id)
    await remove.bury(engine, container_id, volumes)


async def _restore_name(engine: Engine, name: str, container_id: str) -> None:
    try:
        await engine.records.reserve(name, container_id)
    except AlreadyExists:
        log.error("container %s: its name %s is another container's", container_id, name)


async def _drop(engine: Engine, container_id: str) -> None:
    """A process without a record: nobody can ask for it, so it ends."""
    await _kill(engine, container_id)
    await release.workload(engine, container_id)


async def _kill(engine: Engine, container_id: str) -> None:
    try:
        await engine.bus.call(platform.SIGNAL, platform.SignalRequest(id=container_id, signal=signals.SIGKILL))
    except ShoalError:
        pass  # it has ended already, or never ran


async def _bring_back(engine: Engine, ids: list[str]) -> None:
    """Those whose namespaces others join come first."""
    containers = [container for each in ids if (container := engine.registry.find(each)) is not None]
    for joining in (False, True):
        wave = [container for container in containers if bool(donor_ids(container.spec)) is joining]
        await asyncio.gather(*(_bring_back_one(engine, container) for container in wave))


async def _bring_back_one(engine: Engine, container: Container) -> None:
    async with container.lock:
        if container.removing or container.status.state in lifecycle.ALIVE:
            return
        await start.again(engine, container, by_policy=False)
