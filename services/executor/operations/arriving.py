"""A container comes from another host: a place for it, and what makes it this host's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.contracts import image_store, volume
from shared.contracts.common import Ref
from shared.contracts.container import ContainerSpec
from shared.contracts.moving import Move, MoveRef, ReceiveRequest, TakeOverRequest
from shared.contracts.volume import VolumeSpec
from shared.errors import AlreadyExists, Conflict, NotFound

from ..container import Container
from ..domain import moving
from ..domain.mounts.resolve import volume_names
from . import health, remove, start
from .engine import Engine


@dataclass(frozen=True)
class Place:
    """Where a container that comes will be, in this host's words."""

    graph_driver: dict[str, str]
    mountpoints: dict[str, str]


async def receive(engine: Engine, request: ReceiveRequest) -> None:
    """Writable layer and volumes are made; the placement tells whose they are, so that they go with it."""
    if engine.registry.find(request.id) is not None or request.id in engine.departed:
        raise Conflict(f"container {request.spec.name} is here already")
    await _drop(engine, request.id)
    names = tuple(each.name for each in request.volumes)
    await asyncio.gather(*(_check_free(engine, name) for name in names))
    await engine.records.place(request.id, making=names, incoming=request.migration)
    try:
        await _make(engine, request)
    except BaseException:
        await _drop(engine, request.id)
        raise


async def _drop(engine: Engine, container_id: str) -> None:
    placement = await engine.records.placement(container_id)
    if placement is not None:
        await remove.bury(engine, container_id, placement.making)


async def _check_free(engine: Engine, name: str) -> None:
    try:
        await engine.bus.call(volume.INSPECT, volume.NameRequest(name=name))
    except NotFound:
        return
    raise AlreadyExists(f"there is a volume {name} on this host already: its content would be overwritten")


async def _make(engine: Engine, request: ReceiveRequest) -> None:
    prepare = image_store.PrepareRequest(
        key=request.id, reference=request.spec.image_id, platform=request.spec.platform
    )
    made, snapshot = await asyncio.gather(
        asyncio.gather(*(_volume(engine, each) for each in request.volumes)),
        engine.bus.call(image_store.PREPARE, prepare),
    )
    engine.places[request.id] = Place(snapshot.graph_driver, {each.name: each.mountpoint for each in made})


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
    async with engine.arriving:
        if engine.registry.find(request.id) is not None:
            raise Conflict("the container was taken over here")
        placement = await engine.records.placement(request.id)
        if placement is not None and placement.incoming == request.migration:
            await remove.bury(engine, request.id, placement.making)
            engine.places.pop(request.id, None)


async def take_over(engine: Engine, request: TakeOverRequest) -> int:
    """Its records are written here: it is this host's from then on, and everybody sees it."""
    async with engine.arriving:  # whoever abandons it comes before or after
        found = engine.registry.find(request.id)
        if found is not None:
            return found.spec_revision
        placement = await engine.records.placement(request.id)
        if placement is None or placement.incoming != request.migration:
            raise NotFound("there is nothing here that this migration brought")
        place = engine.places.pop(request.id, None) or await _place(engine, request.held.spec)
        spec = moving.at_home(request.held.spec, place.graph_driver, place.mountpoints)
        container = Container(spec, moving.arrived(request.held))
        engine.registry.add(container)
        async with container.lock:
            await engine.save(container, container.status)
            container.spec_revision = await engine.records.create(container.spec)
            await engine.records.arrived(container.id)
    engine.tell(container, "migrate", source=request.source_name, node=engine.records.node_name)
    return container.spec_revision


async def _place(engine: Engine, spec: ContainerSpec) -> Place:
    """As `receive` found it, which a process before this one did."""
    snapshot = await engine.bus.call(image_store.SNAPSHOT, Ref(id=spec.id))
    names = volume_names(spec.mounts)
    found = await asyncio.gather(*(engine.bus.call(volume.INSPECT, volume.NameRequest(name=name)) for name in names))
    return Place(snapshot.graph_driver, {each.name: each.mountpoint for each in found})


async def taken(engine: Engine, request: MoveRef) -> int:
    """The name is this host's; one that ran is started as its policy would start it: a crash does not forget it."""
    container = engine.registry.get(request.id)
    async with container.lock:  # its removal comes before or after: a name must not come back
        if engine.registry.find(request.id) is not container:
            raise NotFound(f"No such container: {request.id}")
        await engine.records.arrived(container.id)
        await engine.records.bring_name(container.spec.name, container.id)
        if container.status.state == "restarting" and container.retry is None:
            start.retry(engine, container, 0)
    health.take_over(engine)
    retrying = container.retry
    if retrying is not None:
        await asyncio.wait((retrying,))
    return container.status_revision


async def moves(engine: Engine) -> tuple[Move, ...]:
    """What is unfinished here."""
    leaving = [
        Move(id=each.id, migration=each.status.leaving.migration, role="leaving")
        for each in engine.registry
        if each.status.leaving is not None
    ]
    departed = [
        Move(id=each.id, migration=each.status.leaving.migration if each.status.leaving else "", role="departed")
        for each in engine.departed.values()
    ]
    incoming = [
        Move(id=container_id, migration=placement.incoming, role="incoming")
        for container_id, placement in (await engine.records.incoming()).items()
        if engine.registry.find(container_id) is None
    ]
    return (*leaving, *departed, *incoming)
