"""Making a container."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import msgspec

from shared import merge
from shared.clock import now_ns
from shared.contracts import image_store, network, volume
from shared.contracts.common import Ref
from shared.contracts.container import ContainerConfig, ContainerSpec, EndpointSettings, HostConfig, MountPoint
from shared.contracts.executor import CreateReply, CreateRequest
from shared.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted, ShoalError
from shared.ids import new_id
from shared.shielded import together

from ..container import Container
from ..domain import names
from ..domain.defaults import with_defaults
from ..domain.donors import no_such
from ..domain.mounts.resolve import (
    Wanted,
    donors,
    is_anonymous,
    wanted_mounts,
    with_image,
    with_names,
    with_volume,
    without_recursion,
)
from ..domain.movable import bound_by
from ..domain.platforms import mismatch
from ..domain.sandbox import may_be_id, wanted_networks
from ..domain.validation import Host, check_config, check_host_config, check_modes, check_networks
from ..domain.validation.modes import joined
from ..domain.validation.networks import check_exposed
from . import links, release
from .engine import Engine, patiently

RESERVE = 16 << 20
"""Bytes of the disk that making containers leaves to what is written about those that are there."""


async def create(engine: Engine, request: CreateRequest) -> CreateReply:
    """Checks, then name and snapshot together, then volumes, then the records; a failure takes all of it back."""
    config, asked, warnings = await _checked(engine, request)
    if engine.paths.free_bytes() < RESERVE:
        raise ResourceExhausted("cannot create a container: No space left on device")
    container_id = new_id()
    async with AsyncExitStack() as undo:
        name, snapshot = await _name_and_snapshot(engine, request, container_id, undo)
        warnings += mismatch(snapshot.image.platform, (await engine.host()).platform, request.platform)
        config = merge.with_image(config, snapshot.image.config)
        path, args = merge.program(config)
        spec = ContainerSpec(
            id=container_id,
            name=name,
            created=now_ns(),
            config=_with_hostname(engine, config, asked, container_id),
            host_config=asked,
            networks=await _named(engine, wanted_networks(asked, request.networks)),
            image_id=snapshot.image.id,
            image_manifest=snapshot.image.descriptor,
            graph_driver=snapshot.graph_driver,
            platform=snapshot.image.platform,
            path=path,
            args=args,
            mounts=await _mounts(engine, request, container_id, asked, config, undo),
        )
        spec = msgspec.structs.replace(spec, generation=_generation(engine, spec, request.movable))
        container = Container(spec, rootfs=snapshot.mounts, untouched=True)
        await _record(engine, container, undo)
        undo.pop_all()
    engine.tell(container, "create")
    return CreateReply(id=container_id, name=name, warnings=tuple(warnings), revision=container.spec_revision)


def _generation(engine: Engine, spec: ContainerSpec, movable: bool) -> int:
    return 1 if movable and engine.movables is not None and not bound_by(spec) else 0


async def _checked(engine: Engine, request: CreateRequest) -> tuple[ContainerConfig, HostConfig, list[str]]:
    """Everything that can be judged before anything is made."""
    if request.name:
        names.checked(request.name)
    info = await engine.host()
    config = check_config(request.config)
    check_modes(config, request.host_config)
    asked, warnings = check_host_config(request.host_config, Host(info, engine.paths.exists))
    check_exposed(config.exposed_ports)
    check_networks(request.networks)
    if not config.image:
        raise InvalidArgument("no image specified: config.Image is empty")
    asked = links.resolved(engine, with_defaults(asked, info, lambda name: _id_of(engine, name)))
    return config, asked, warnings


async def _named(engine: Engine, networks: dict[str, EndpointSettings]) -> dict[str, EndpointSettings]:
    """Networks by name, also those that were named by id. One that is not there (yet) is missed at the start."""
    return {await _network_name(engine, reference): settings for reference, settings in networks.items()}


async def _network_name(engine: Engine, reference: str) -> str:
    if not may_be_id(reference):
        return reference
    try:
        return (await engine.bus.call(network.INSPECT, network.InspectRequest(reference=reference))).spec.name
    except NotFound:
        return reference


def _id_of(engine: Engine, reference: str) -> str | None:
    found = engine.registry.find(reference)
    return found.id if found else None


def _with_hostname(engine: Engine, config: ContainerConfig, asked: HostConfig, container_id: str) -> ContainerConfig:
    """One that shares another's network is called as that one is."""
    if config.hostname:
        return config
    donor = engine.registry.find(joined(asked.network_mode) or "")
    if donor is not None:
        names = donor.spec.config
        return msgspec.structs.replace(config, hostname=names.hostname, domainname=names.domainname)
    hostname = socket.gethostname() if asked.network_mode == "host" else container_id[:12]
    return msgspec.structs.replace(config, hostname=hostname)


async def _name_and_snapshot(
    engine: Engine, request: CreateRequest, container_id: str, undo: AsyncExitStack
) -> tuple[str, image_store.Snapshot]:
    """Both at once; of several failures the image's is told, as dockerd looks for the image first."""
    reference = request.image_id or request.config.image
    prepare = image_store.PrepareRequest(key=container_id, reference=reference, platform=request.platform)
    name, placed, snapshot = await asyncio.gather(
        _reserve(engine, request.name, container_id),
        engine.records.place(container_id),  # sent before the snapshot is asked for: a crash leaves its trace
        engine.bus.call(image_store.PREPARE, prepare),
        return_exceptions=True,
    )
    undo.push_async_callback(engine.records.bury, container_id, status=False)
    undo.push_async_callback(release.snapshot, engine, container_id)  # it may be there also when no answer came
    if isinstance(name, str):
        undo.push_async_callback(patiently, "name release", lambda: engine.records.release_name(name, container_id))
    if isinstance(snapshot, BaseException):
        raise snapshot
    if isinstance(name, BaseException):
        raise name
    if isinstance(placed, BaseException):
        raise placed
    return name, snapshot


async def _reserve(engine: Engine, wanted: str, container_id: str) -> str:
    """The name the container gets; raises `AlreadyExists` when the wanted one is taken."""
    if wanted:
        name = names.checked(wanted)
        await take_name(engine, name, container_id)
        return name
    for name in names.candidates(container_id, engine.choose):
        if engine.registry.find(name) is None:
            try:
                await engine.records.reserve(name, container_id)
            except AlreadyExists:
                continue
            return name
    raise AlreadyExists(f"no free name for container {container_id}")


async def take_name(engine: Engine, name: str, container_id: str) -> None:
    """Raises `AlreadyExists` in Docker's words, naming the holder."""
    try:
        await engine.records.reserve(name, container_id)
    except AlreadyExists:
        raise names.taken(name, await engine.records.holder(name)) from None


async def _mounts(
    engine: Engine,
    request: CreateRequest,
    container_id: str,
    asked: HostConfig,
    config: ContainerConfig,
    undo: AsyncExitStack,
) -> tuple[MountPoint, ...]:
    """Anonymous volumes are written down before they are made: a crash must not leave them to nobody."""
    donated = {name: _donor_mounts(engine, name) for name in donors(asked)}
    wanted = wanted_mounts(asked, config, donated)
    if not request.read_only_recursive:
        wanted = tuple(map(without_recursion, wanted))
    wanted, anonymous = with_names(wanted, new_id)
    if anonymous:
        await engine.records.making(container_id, anonymous)
    return tuple(await together(_mount(engine, each, each.point.name in anonymous, undo) for each in wanted))


def _donor_mounts(engine: Engine, reference: str) -> tuple[MountPoint, ...]:
    found = engine.registry.find(reference)
    if found is None:
        raise InvalidArgument(no_such(reference))
    return found.spec.mounts


async def _mount(engine: Engine, wanted: Wanted, anonymous: bool, undo: AsyncExitStack) -> MountPoint:
    """The mount point with its image, or its volume, which is made when it is not there."""
    point = wanted.point
    if point.type == "image" and point.spec is not None:
        viewed = await engine.bus.call(image_store.VIEW, Ref(id=point.spec.source))
        return with_image(point, viewed.image_id)
    if point.type != "volume" or point.source:
        return point
    begun = now_ns()
    made = await engine.bus.call(
        volume.CREATE,
        volume.CreateRequest(
            name=point.name,
            anonymous=anonymous,
            driver=point.driver or "local",
            options=wanted.driver_options,
            labels=wanted.labels,
        ),
    )
    if made.created >= begun:  # else it was there before
        undo.push_async_callback(remove_volume, engine, made.name)
    return with_volume(point, made)


async def remove_volume(engine: Engine, name: str, but: str = "") -> None:
    """Removes a volume that no container has; one that is used or gone stays as it is."""
    request = volume.RemoveRequest(name=name, users=engine.registry.users_of(name, but))
    if not request.users:
        await patiently("volume removal", lambda: _remove_volume(engine, request))


async def _remove_volume(engine: Engine, request: volume.RemoveRequest) -> None:
    try:
        await engine.bus.call(volume.REMOVE, request)
    except ShoalError as error:
        if error.kind in ("unavailable", "deadline_exceeded"):
            raise


async def _record(engine: Engine, container: Container, undo: AsyncExitStack) -> None:
    """Known to this process before its records are written: others may call it as soon as they see them."""
    engine.registry.add(container)
    undo.callback(engine.registry.discard, container)
    undo.push_async_callback(engine.records.forget, container.spec)
    if container.spec.generation and engine.movables is not None:
        await engine.movables.begin(container.spec)  # before it is recorded here, or it would be nobody's for a moment
    async with container.lock:
        container.spec_revision = await engine.records.create(container.spec)
        if any(map(is_anonymous, container.spec.mounts)):
            # Now they are the container's: who removes it decides whether they go too.
            await engine.records.making(container.id, ())
