"""Giving back what a run held on the host. Everything here is idempotent and tried until it is done."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.contracts import image_store, network, platform, volume
from shared.contracts.common import Ref
from shared.contracts.container import ContainerSpec

from ..container import Container
from ..domain.mounts.resolve import volume_names
from ..domain.sandbox import sandbox_request
from ..domain.validation.modes import is_user_defined
from .engine import Engine, patiently

FORGET_SECONDS = 0.25
PORT_PATIENCE = 2.0
"""Seconds a start waits for ports that ended containers are giving back."""
NETWORK_PATIENCE = 2.0
"""Seconds for which an exit is not told yet, since networks that can be removed, or ports, are still held."""


@dataclass(frozen=True)
class Holdings:
    """What a container may hold beside its process and its snapshot; in doubt everything."""

    network: bool = True
    volumes: bool = True


def holdings(container: Container) -> Holdings:
    """What this container can hold."""
    spec = container.spec
    return Holdings(
        network=sandbox_request(spec) is not None and not container.untouched,
        volumes=bool(volume_names(spec.mounts)),
    )


async def surroundings(engine: Engine, container: Container, *, keep_files: bool = True) -> None:
    """Network and volumes of a run that ended; with its files kept the container may start again."""
    spec = container.spec
    works = []
    if sandbox_request(spec) is not None:
        works.append(network_stack(engine, spec.id, keep_files=keep_files))
    if volume_names(spec.mounts):
        works.append(unmount(engine, spec.id))
    await asyncio.gather(*works)


async def networks_left(spec: ContainerSpec, work: asyncio.Task[None]) -> None:
    """Waits for the work that leaves a user's networks and gives ports back.

    Who knows that a container ended may remove its network, and finds its ports closed.
    """
    host = spec.host_config
    if host.port_bindings or host.publish_all_ports or any(is_user_defined(name) for name in spec.networks):
        await asyncio.wait((work,), timeout=NETWORK_PATIENCE)


async def network_stack(engine: Engine, container_id: str, *, keep_files: bool) -> None:
    """Also when the caller is cancelled; who needs a port meanwhile can wait for it (`ports_free`)."""
    request = network.ReleaseRequest(container_id=container_id, keep_files=keep_files)
    work = patiently("network release", lambda: engine.bus.call(network.RELEASE, request))
    task = engine.tasks.start(work, "network release")
    engine.releasing.add(task)
    task.add_done_callback(engine.releasing.discard)
    await asyncio.shield(task)


async def ports_free(engine: Engine) -> None:
    """Waits for network stacks that are just being given back."""
    if engine.releasing:
        await asyncio.wait(tuple(engine.releasing), timeout=PORT_PATIENCE)


async def unmount(engine: Engine, container_id: str) -> None:
    """All volumes the container mounted."""
    request = volume.UnmountRequest(user=container_id)
    await patiently("volume unmount", lambda: engine.bus.call(volume.UNMOUNT, request))


async def workload(engine: Engine, container_id: str, *, logs: bool = False) -> None:
    """The platform forgets the process and how it ended, so this comes after the exit was recorded."""
    request = platform.DeleteRequest(id=container_id, logs=logs)
    await patiently("workload delete", lambda: engine.bus.call(platform.DELETE, request))


async def snapshot(engine: Engine, container_id: str) -> None:
    """Its writable layer, for good."""
    await patiently("snapshot release", lambda: engine.bus.call(image_store.RELEASE, Ref(id=container_id)))


async def everything(engine: Engine, container_id: str, held: Holdings) -> None:
    """Nothing of a container stays on the host: process, log, network, volumes, and its snapshot last."""
    works = [workload(engine, container_id, logs=True)]
    if held.network:
        works.append(network_stack(engine, container_id, keep_files=False))
    if held.volumes:
        works.append(unmount(engine, container_id))
    await asyncio.gather(*works, asyncio.to_thread(engine.paths.remove_tree, f"{engine.checkpoints}/{container_id}"))
    await snapshot(engine, container_id)


async def moved(engine: Engine, container_id: str, held: Holdings) -> None:
    """As `everything`, of a container that another host has: its addresses are that host's."""
    request = network.ReleaseRequest(container_id=container_id, keep_files=False, moved=True)
    await patiently("network release", lambda: engine.bus.call(network.RELEASE, request))
    await everything(engine, container_id, Holdings(network=False, volumes=held.volumes))


def exec_record(engine: Engine, exec_id: str) -> None:
    """How an exec ended is known here; the platform may forget it, soon, with others."""
    if not engine.forgettable:
        asyncio.get_running_loop().call_later(FORGET_SECONDS, _forget, engine)
    engine.forgettable.append(exec_id)


def _forget(engine: Engine) -> None:
    request = platform.ForgetRequest(ids=tuple(engine.forgettable))
    engine.forgettable.clear()
    engine.tasks.start(patiently("execs", lambda: engine.bus.call(platform.EXEC_FORGET, request)), "forget execs")
