"""Starting a container."""

from __future__ import annotations

import asyncio
import logging
import socket

import msgspec

from shared.clock import now_ns
from shared.contracts import image_store, network, platform, volume
from shared.contracts.common import Mount, Ref
from shared.contracts.container import MountPoint
from shared.contracts.executor import StartRequest
from shared.errors import DeadlineExceeded, FailedPrecondition, ShoalError, Unavailable
from shared.shielded import together

from ..container import Container
from ..domain import checkpoints, donors, failure, lifecycle, status
from ..domain.health import check_of
from ..domain.mounts.parse import check_mount
from ..domain.mounts.resolve import images
from ..domain.restart import SECOND
from ..domain.sandbox import sandbox_request
from ..domain.workload import Donor, Parts, create_request, donor_ids
from . import health, links, release, remove
from .engine import Engine

log = logging.getLogger(__name__)

FENCED_DELAY = 5 * SECOND


async def start(engine: Engine, request: StartRequest) -> int:
    """The revision of the status that says it runs."""
    if request.checkpoint:
        checkpoints.check(request.checkpoint)
    container = engine.registry.staying(request.id)
    lifecycle.check_start(container.status.state)
    restore = _restore(engine, container, request) if request.checkpoint else None
    async with container.lock:
        return await start_locked(engine, container, restore)


def _restore(engine: Engine, container: Container, request: StartRequest) -> platform.Restore:
    """Connections it had are closed: their peers have gone on, and the address may be another one."""
    folder = checkpoints.folder(engine.checkpoints, container.id, request.checkpoint_dir)
    if request.checkpoint not in (engine.paths.folders(folder) or ()):
        raise checkpoints.missing(request.checkpoint, f"/{container.spec.name}")
    return platform.Restore(image_path=f"{folder}/{request.checkpoint}", tcp="close", file_locks=True)


async def start_locked(engine: Engine, container: Container, restore: platform.Restore | None = None) -> int:
    """As `start`, for who holds the container's lock; with `restore` it goes on from a checkpoint."""
    if container.removing:
        lifecycle.check_start("removing")
    lifecycle.check_start(container.status.state)
    return await run(engine, container, by_policy=False, restore=restore)


async def run(engine: Engine, container: Container, *, by_policy: bool, restore: platform.Restore | None = None) -> int:
    """Makes ready, starts, records. The error of a failed start is recorded too, and raised."""
    if container.spec.generation and engine.movables is not None:
        await engine.movables.admit(container.spec)
    container.untouched = False
    try:
        made = await _launch(engine, container, restore)
    except ShoalError as error:
        failed = failure.of_start(error)
        await _start_failed(engine, container, failed)
        raise failed.error from None
    checked = check_of(container.spec.config) is not None
    started = status.started(container.status, made, by_policy=by_policy, checked=checked)
    revision = await engine.save(container, started)
    health.watch(engine, container)
    engine.tell(container, "start")
    return revision


async def _launch(engine: Engine, container: Container, restore: platform.Restore | None) -> status.Run:
    await container.clean()
    linked = links.environment(engine, container)
    joined = {kind: _donor(engine, container, kind, name) for kind, name in donor_ids(container.spec).items()}
    make_bind_sources(engine, container)
    parts = await _parts(engine, container, joined, linked)
    wanted = msgspec.structs.replace(create_request(container.spec, parts), restore=restore)
    reply = await _create_workload(engine, wanted)
    return status.Run(reply.pid, reply.started_at or now_ns(), reply.log_path, parts.sandbox)


def _donor(engine: Engine, container: Container, kind: str, reference: str) -> Donor:
    found = engine.registry.find(reference)
    if found is None:
        raise donors.missing(kind, reference)
    return donors.checked(kind, container.id, reference, found.spec, found.status)


def make_bind_sources(engine: Engine, container: Container) -> None:
    """`-v /host/path:...` makes the host path; a `--mount` only when it says so, else it has to be there."""
    for point in container.spec.mounts:
        explicit = point.spec in container.spec.host_config.mounts
        options = point.spec.bind_options if point.spec else None
        if point.type == "bind" and (not explicit or (options is not None and options.create_mountpoint)):
            engine.paths.make_directory(point.source)
        elif point.type == "bind" and point.spec is not None:
            check_mount(point.spec, engine.paths.exists)


async def _parts(engine: Engine, container: Container, joined: dict[str, Donor], linked: tuple[str, ...]) -> Parts:
    """Network, volumes, images and root file system at once."""
    points = [point for point in container.spec.mounts if point.type == "volume"]
    sandbox, rootfs, views, paths = await asyncio.gather(
        _sandbox(engine, container),
        root_mounts(engine, container),
        image_mounts(engine, container),
        volume_paths(engine, container.id, points),
        return_exceptions=True,
    )
    # Only now, when every call has ended: what gives things back must not overtake what takes them.
    if isinstance(sandbox, BaseException):
        raise sandbox
    if isinstance(rootfs, BaseException):
        raise rootfs
    if isinstance(views, BaseException):
        raise views
    if isinstance(paths, BaseException):
        raise paths
    volumes = {point.destination: path for point, path in zip(points, paths, strict=True)}
    return Parts(rootfs, sandbox, joined, volumes, socket.gethostname(), linked, views)


async def _sandbox(engine: Engine, container: Container) -> network.Sandbox | None:
    request = sandbox_request(container.spec)
    if request is None:
        return None
    if request.publish or request.publish_all:
        await release.ports_free(engine)
    return await engine.bus.call(network.SANDBOX, request)


async def root_mounts(engine: Engine, container: Container) -> tuple[Mount, ...]:
    """What makes its root file system."""
    if not container.rootfs:
        snapshot = await engine.bus.call(image_store.SNAPSHOT, Ref(id=container.id))
        container.rootfs = snapshot.mounts
    return container.rootfs


async def image_mounts(engine: Engine, container: Container) -> dict[str, tuple[Mount, ...]]:
    """What makes the root of each image that is mounted, by destination."""
    found = images(container.spec.mounts)
    views = await together(engine.bus.call(image_store.VIEW, Ref(id=image_id)) for image_id in found.values())
    return {destination: view.mounts for destination, view in zip(found, views, strict=True)}


async def volume_paths(engine: Engine, user: str, points: list[MountPoint]) -> list[str]:
    """Where each of these volumes is on the host, mounted for the user."""
    return await together(_mount(engine, user, point) for point in points)


async def _mount(engine: Engine, user: str, point: MountPoint) -> str:
    options = point.spec.volume_options if point.spec else None
    request = volume.MountRequest(
        name=point.name,
        user=user,
        subpath=options.subpath if options else "",
        destination=point.destination,
        rw=point.rw,
        propagation=point.propagation,
    )
    return (await engine.bus.call(volume.MOUNT, request)).path


async def _create_workload(engine: Engine, request: platform.CreateRequest) -> platform.CreateReply:
    """Creates and starts. Where the platform went away in between, what it did is looked up."""
    try:
        return await engine.bus.call(platform.CREATE, request)
    except (Unavailable, DeadlineExceeded) as error:
        found = await engine.workload(request.id)
        if found is None:
            raise
        if found.state == "created":
            await release.workload(engine, request.id)
            raise Unavailable(error.message) from None
        return platform.CreateReply(pid=found.pid, log_path=found.log_path, started_at=found.started_at)


async def _start_failed(engine: Engine, container: Container, failed: failure.Failure) -> None:
    """The record first, so that a crash here leaves nothing unexplained; then what was made ready."""
    last = status.start_failed(container.status, failed.code, failed.error.message)
    await engine.save(container, last)
    await asyncio.gather(
        release.workload(engine, container.id),
        release.surroundings(engine, container),
    )
    if container.spec.host_config.auto_remove and not container.kept:
        await remove.automatically(engine, container)


def retry(engine: Engine, container: Container, delay: int) -> None:
    """The policy's next start, in so many nanoseconds, unless somebody else decides meanwhile."""
    container.retry = engine.tasks.start(_retry(engine, container, delay), "restart")


async def _retry(engine: Engine, container: Container, delay: int) -> None:
    await asyncio.sleep(delay / SECOND)
    async with container.lock:
        if container.status.state != "restarting" or container.removing:
            return
        container.retry = None
        await again(engine, container, by_policy=True)


async def again(engine: Engine, container: Container, *, by_policy: bool) -> None:
    """Starts it without anybody who asks for it; one that may not run now waits for its host's lease."""
    try:
        if container.spec.generation and engine.movables is None:
            raise FailedPrecondition("a host of the cluster that this one has left may have it")
        await run(engine, container, by_policy=by_policy)
    except ShoalError as error:
        log.warning("container %s does not come back: %s", container.id, error)
        await postpone(engine, container)


async def postpone(engine: Engine, container: Container) -> None:
    """A movable container that does not run and may not run now."""
    movables = engine.movables
    if container.spec.generation and movables is None and container.status.state == "restarting":
        await engine.save(container, msgspec.structs.replace(container.status, state="exited"))
    waits = container.spec.generation and movables is not None and not movables.may_run(container.id)
    if waits and not container.status.fenced and container.status.state in ("created", "exited", "restarting"):
        await engine.save(container, status.fenced(container.status))
    if waits and container.status.fenced and not container.removing:
        retry(engine, container, FENCED_DELAY)  # its host's lease, when it is there again, is told as well
