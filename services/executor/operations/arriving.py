"""A container comes from another host: a place for it, and what makes it this host's."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from shared.contracts import image_store, migration_driver, network, volume
from shared.contracts.common import Mount, Ref
from shared.contracts.container import ContainerSpec, Leaving
from shared.contracts.executor import RemoveRequest
from shared.contracts.moving import (
    Held,
    Move,
    MoveRef,
    Peer,
    ReceiveRequest,
    TakenRequest,
    TakeOverReply,
    TakeOverRequest,
)
from shared.contracts.volume import VolumeSpec
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound, ShoalError, Unavailable
from shared.shielded import together

from ..container import Container
from ..domain import moving
from ..domain.mounts.resolve import volume_names
from ..domain.sandbox import sandbox_request
from ..domain.workload import Parts, create_request
from . import exit, health, remove, start
from .create import remove_volume
from .engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a container that comes will be, in this host's words. `sandbox`: of one whose processes come, too.

    `migration`: which brings it; empty where that is not known.
    """

    graph_driver: dict[str, str]
    mountpoints: dict[str, str]
    sandbox: network.Sandbox | None = None
    migration: str = ""


@dataclass(frozen=True)
class Resumed:
    """Processes that go on here, and when they did (nanoseconds of the monotonic clock)."""

    pid: int
    log_path: str
    at: int


async def receive(engine: Engine, request: ReceiveRequest) -> Peer | None:
    """Writable layer and volumes are made; the placement tells whose they are, so that they go with it.

    Where its processes are awaited, if they come.
    """
    if engine.registry.find(request.id) is not None or request.id in engine.departed:
        raise Conflict(f"container {request.spec.name} is here already")
    await _drop(engine, request.id)
    names = tuple(each.name for each in request.volumes)
    await asyncio.gather(*(_check_free(engine, name) for name in names))
    await engine.records.place(request.id, making=names, incoming=request.migration, driver=request.driver)
    try:
        return await _make(engine, request)
    except BaseException:
        await _drop(engine, request.id)
        raise


async def _drop(engine: Engine, container_id: str) -> None:
    placement = await engine.records.placement(container_id)
    if placement is not None:
        place = migration_driver.place(engine.node, placement.driver)
        await engine.bus.call(migration_driver.ABANDON, Ref(id=container_id), place)
        await remove.bury(engine, container_id, placement.making)
        engine.places.pop(container_id, None)


async def _check_free(engine: Engine, name: str) -> None:
    try:
        await engine.bus.call(volume.INSPECT, volume.NameRequest(name=name))
    except NotFound:
        return
    raise AlreadyExists(f"there is a volume {name} on this host already: its content would be overwritten")


async def _make(engine: Engine, request: ReceiveRequest) -> Peer | None:
    prepare = image_store.PrepareRequest(
        key=request.id, reference=request.spec.image_id, platform=request.spec.platform
    )
    made, snapshot = await asyncio.gather(
        together(_volume(engine, each) for each in request.volumes),
        engine.bus.call(image_store.PREPARE, prepare),
        return_exceptions=True,
    )
    if isinstance(made, BaseException):
        raise made
    if isinstance(snapshot, BaseException):
        raise snapshot
    place = Place(snapshot.graph_driver, {each.name: each.mountpoint for each in made})
    peer = None
    if request.strategy:
        place, peer = await _await_processes(engine, request, place, snapshot.mounts)
    engine.places[request.id] = replace(place, migration=request.migration)
    return peer


async def _await_processes(
    engine: Engine, request: ReceiveRequest, place: Place, rootfs: tuple[Mount, ...]
) -> tuple[Place, Peer]:
    """The network stands by and volumes are mounted: all is as for a start, but that the processes run already."""
    spec = moving.at_home(request.spec, place.graph_driver, place.mountpoints)
    points = [point for point in spec.mounts if point.type == "volume"]
    sandbox, paths = await asyncio.gather(
        _standby(engine, spec), start.volume_paths(engine, spec.id, points), return_exceptions=True
    )
    for failed in (sandbox, paths):
        if isinstance(failed, BaseException):
            raise failed
    assert not isinstance(sandbox, BaseException)
    assert not isinstance(paths, BaseException)
    volumes = {point.destination: path for point, path in zip(points, paths, strict=True)}
    workload = create_request(spec, Parts(rootfs, sandbox, volumes=volumes, host=socket.gethostname()))
    strategy: migration_driver.Strategy = "copy" if request.strategy == "copy" else "post-copy"
    wanted = migration_driver.ReceiveRequest(request=workload, strategy=strategy, started_at=request.started_at)
    driver = migration_driver.place(engine.node, request.driver)
    peer = await engine.bus.call(migration_driver.RECEIVE, wanted, driver)
    return replace(place, sandbox=sandbox), peer


async def _standby(engine: Engine, spec: ContainerSpec) -> network.Sandbox | None:
    request = sandbox_request(spec)
    return (
        None
        if request is None
        else await engine.bus.call(network.SANDBOX, msgspec.structs.replace(request, standby=True))
    )


async def _volume(engine: Engine, there: VolumeSpec) -> VolumeSpec:
    labels = {
        name: value
        for name, value in there.labels.items()
        if not (there.anonymous and name.startswith("com.docker.volume."))
    }
    request = volume.CreateRequest(
        name=there.name, anonymous=there.anonymous, driver=there.driver, options=there.options, labels=labels
    )
    return await engine.bus.call(volume.CREATE, request)


async def abandon(engine: Engine, request: MoveRef) -> None:
    """Nothing of it stays. From then on this migration finds nothing here to take over."""
    async with engine.arrival(request.id):
        if engine.registry.find(request.id) is not None:
            raise Conflict("the container was taken over here")
        placement = await engine.records.placement(request.id)
        if placement is not None and placement.incoming == request.migration:
            await _drop(engine, request.id)


async def forsake(engine: Engine) -> None:
    """This host is in no cluster any more: what was brought here, and was not said to be its own, goes.

    Its source, which was told nothing else, lets it go on there.
    """
    for container_id in await engine.records.incoming():
        container = engine.registry.find(container_id)
        if container is None:
            await _drop(engine, container_id)
            continue
        await remove.remove(engine, RemoveRequest(id=container_id, force=True))
        for name in volume_names(container.spec.mounts):  # they came with it
            await remove_volume(engine, name)


async def take_over(engine: Engine, request: TakeOverRequest) -> TakeOverReply:
    """It goes on, and then its records are written here, and its network is told so: frames have reached it already.

    It is this host's before it goes on, by the record of the migration, and nobody can abandon it any more. `NotFound`:
    nothing is here that could go on. Whatever else fails may be done again: it is no refusal to take it over.
    """
    async with engine.arrival(request.id):  # whoever abandons it comes before or after
        container = engine.registry.find(request.id) or await _found(engine, request)
        new = not container.spec_revision
        if new:
            engine.registry.add(container)
        runs = container.status.state == "running"
        try:
            resumed = await _resume(engine, container, request.driver, new) if runs else None
        except NotFound:
            await _give_back(engine, container)
            raise
        recorded, attached = await asyncio.gather(
            _record(engine, container), _attach(engine, container, runs), return_exceptions=True
        )
        for failed in (recorded, attached):
            if isinstance(failed, BaseException):
                raise failed
        engine.places.pop(request.id, None)
    if new:
        engine.tell(container, "migrate", source=request.source_name, node=engine.records.node_name)
    reply = TakeOverReply(revision=container.spec_revision)
    if resumed is not None:
        ago = time.monotonic_ns() - resumed.at
        reply = msgspec.structs.replace(reply, pid=resumed.pid, log_path=resumed.log_path, ago_ns=ago)
    return reply


async def _found(engine: Engine, request: TakeOverRequest) -> Container:
    """What this migration brought, as a container of this host. Raises `NotFound` where that is not here."""
    place = engine.places.get(request.id)
    if place is None or place.migration != request.migration:  # a process before this one received it, or nobody did
        placement = await engine.records.placement(request.id)
        if placement is None or placement.incoming != request.migration:
            raise NotFound("there is nothing here that this migration brought")
        place = await _place(engine, request.held)
    spec = moving.at_home(request.held.spec, place.graph_driver, place.mountpoints)
    return Container(spec, moving.arrived(request.held, place.sandbox))


async def _give_back(engine: Engine, container: Container) -> None:
    """Its processes were lost before they went on: it is its source's, and nothing of it stays here."""
    engine.registry.discard(container)
    await engine.records.leave(container.spec)
    await _drop(engine, container.id)


async def _record(engine: Engine, container: Container) -> None:
    if container.spec_revision:
        return
    async with container.lock:
        saving = engine.save(container, container.status)  # sent in this order
        _, container.spec_revision = await asyncio.gather(saving, engine.records.create(container.spec))


async def _attach(engine: Engine, container: Container, runs: bool) -> None:
    if not runs or not container.status.sandbox_id:
        return
    try:
        await engine.bus.call(network.ATTACH, network.StackRequest(container_id=container.id))
    except ShoalError as error:
        raise Unavailable(f"its network: {error.message}") from None


async def _resume(engine: Engine, container: Container, driver: str, new: bool) -> Resumed | None:
    """Its processes go on as soon as they are restored. Asked again, nothing changes.

    `NotFound`: a `new` one has lost them before. None: it has lost them since, and has ended, at this host.
    """
    try:
        place = migration_driver.place(engine.node, driver)
        resumed = await engine.bus.call(migration_driver.RESUME, Ref(id=container.id), place)
    except (NotFound, FailedPrecondition) as error:
        if new and isinstance(error, NotFound):
            raise
        log.error("the processes of %s are lost: %s", container.spec.name, error)
        return None  # their end is recorded as any other
    except ShoalError as error:
        raise Unavailable(error.message) from None
    return Resumed(resumed.pid, resumed.log_path, time.monotonic_ns() - resumed.ago_ns)


async def _place(engine: Engine, held: Held) -> Place:
    """As `receive` found it, which a process before this one did."""
    spec = held.spec
    snapshot = await engine.bus.call(image_store.SNAPSHOT, Ref(id=spec.id))
    names = volume_names(spec.mounts)
    found = await asyncio.gather(*(engine.bus.call(volume.INSPECT, volume.NameRequest(name=name)) for name in names))
    sandbox = await _standby(engine, spec) if runs(held) else None
    return Place(snapshot.graph_driver, {each.name: each.mountpoint for each in found}, sandbox)


def runs(held: Held) -> bool:
    """Whether its processes come, too."""
    return held.status.state == "running"


async def taken(engine: Engine, request: TakenRequest) -> int:
    """The name is this host's; one that ran is started as its policy would start it: a crash does not forget it."""
    container = engine.registry.get(request.id)
    async with container.lock:  # its removal comes before or after: a name must not come back
        if engine.registry.find(request.id) is not container:
            raise NotFound(f"No such container: {request.id}")
        if request.pid and container.status.state == "running":
            now = msgspec.structs.replace(container.status, pid=request.pid, log_path=request.log_path)
            await engine.save(container, now)
        await engine.records.arrived(container.id)
        await engine.records.bring_name(container.spec.name, container.id)
        if container.status.state == "restarting" and container.retry is None:
            start.retry(engine, container, 0)
    health.take_over(engine)
    if not request.pid:
        await exit.check(engine, container)  # its processes may not have come
    retrying = container.retry
    if retrying is not None:
        await asyncio.wait((retrying,))
    return container.status_revision


async def moves(engine: Engine) -> tuple[Move, ...]:
    """What is unfinished here."""
    leaving = [_move(each, "leaving") for each in engine.registry if each.status.leaving is not None]
    departed = [_move(each, "departed") for each in engine.departed.values()]
    incoming = [
        Move(id=container_id, migration=placement.incoming, role="incoming")
        for container_id, placement in (await engine.records.incoming()).items()
        if engine.registry.find(container_id) is None
    ]
    return (*leaving, *departed, *incoming)


def _move(container: Container, role: Literal["leaving", "departed"]) -> Move:
    leaving = container.status.leaving or Leaving(migration="", node="")
    return Move(id=container.id, migration=leaving.migration, role=role, driver=leaving.driver)
