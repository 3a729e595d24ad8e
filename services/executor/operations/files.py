"""Copies into and out of a container, and its export: the platform has the files, here is known what lies where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.contracts import platform
from shared.contracts.common import StreamOffer
from shared.contracts.execs import PathRequest, PathStat, ReadReply, WriteRequest
from shared.errors import NotFound

from ..container import Container
from ..domain import lifecycle
from ..domain.mounts.resolve import volume_names
from ..domain.workload import on_host
from . import release, start
from .engine import Engine


async def stat_path(engine: Engine, request: PathRequest) -> PathStat:
    """What is at a path."""
    async with _files(engine, request) as files:
        return await engine.bus.call(platform.STAT_PATH, files)


async def read_archive(engine: Engine, request: PathRequest) -> ReadReply:
    """What is at a path, and an archive of it."""
    async with _files(engine, request) as files:
        reply = await engine.bus.call(platform.READ_ARCHIVE, files)
    engine.tell(engine.registry.get(request.id), "archive-path")
    return reply


async def write_archive(engine: Engine, request: WriteRequest) -> StreamOffer:
    """Where an archive for a directory goes in."""
    async with _files(engine, request) as files:
        config = engine.registry.get(request.id).spec.config
        fields = {name: getattr(files, name) for name in files.__struct_fields__}
        asked = platform.WriteRequest(
            **fields,
            no_overwrite_dir_non_dir=request.no_overwrite_dir_non_dir,
            owner=config.user if request.copy_uid_gid else "",
        )
        return await engine.bus.call(platform.WRITE_ARCHIVE, asked)


async def export(engine: Engine, container_id: str) -> StreamOffer:
    """All of its root file system."""
    container = engine.registry.get(container_id)
    lifecycle.check_export("removing" if container.removing else container.status.state, container.id)
    async with container.lock:
        rootfs = await start.root_mounts(engine, container)
        return await engine.bus.call(platform.EXPORT, platform.FilesRequest(id=container.id, rootfs=rootfs))


async def transferred(engine: Engine, told: platform.Transferred) -> None:
    """The platform says that a copy is done."""
    container = engine.registry.find(told.id)
    if container is not None:
        engine.tell(container, told.action)


@asynccontextmanager
async def _files(engine: Engine, request: PathRequest) -> AsyncIterator[platform.FilesRequest]:
    """What the platform is asked; the container neither starts nor goes meanwhile.

    Volumes of one that does not run are mounted for the time of the call: the platform then has mounts of its own.
    """
    container = engine.registry.get(request.id)
    async with container.lock:
        lifecycle.check_copy("removing" if container.removing else container.status.state, container.id)
        try:
            asked = await _asked(engine, container, request.path)
            try:
                yield asked
            except NotFound as error:
                raise NotFound(f"{error.message} in container {request.reference or container.spec.name}") from None
        finally:
            if container.status.state not in lifecycle.ALIVE and volume_names(container.spec.mounts):
                await release.unmount(engine, container.id)


async def _asked(engine: Engine, container: Container, path: str) -> platform.FilesRequest:
    points = [point for point in container.spec.mounts if point.type == "volume"]
    start.make_bind_sources(engine, container)
    paths = await start.volume_paths(engine, container.id, points)
    volumes = {point.destination: found for point, found in zip(points, paths, strict=True)}
    last = container.status
    return platform.FilesRequest(
        id=container.id,
        rootfs=await start.root_mounts(engine, container),
        mounts=tuple(on_host(point, volumes) for point in container.spec.mounts),
        images=await start.image_mounts(engine, container),
        files={
            place: file
            for place, file in (
                ("/etc/hosts", last.hosts_path),
                ("/etc/hostname", last.hostname_path),
                ("/etc/resolv.conf", last.resolv_conf_path),
            )
            if file
        },
        readonly_rootfs=container.spec.host_config.readonly_rootfs,
        path=path,
    )
