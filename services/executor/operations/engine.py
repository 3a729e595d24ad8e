"""What all operations share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from shared.bus import Bus
from shared.clock import now_ns
from shared.container_events import container_event
from shared.contracts import platform
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.executor import CONTAINER_EVENT
from shared.errors import Conflict, DeadlineExceeded, ShoalError, Unavailable
from shared.streams import Streams
from shared.tasks import TaskGroup

from ..adapters.movables import Movables
from ..adapters.records import Records
from ..container import Container
from ..domain import movable
from ..ports import HostPaths
from ..registry import Registry
from .exec_table import ExecTable

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


@dataclass
class Engine:
    """The executor's connections and what it knows. `choose` picks from a sequence (made-up names)."""

    bus: Bus
    node: str
    records: Records
    paths: HostPaths
    tasks: TaskGroup
    streams: Streams
    choose: Callable[[Sequence[str]], str]
    checkpoints: str
    """The folder that has one for each container with checkpoints."""
    stop_timeout: int = 10
    movables: Movables | None = None
    """On a host that is in a cluster: its containers that another host starts again when this one is lost."""
    registry: Registry = field(default_factory=Registry)
    execs: ExecTable = field(default_factory=ExecTable)
    releasing: set[asyncio.Task[None]] = field(default_factory=set)
    """Network stacks that are just being given back: who publishes a port waits for them."""
    forgettable: list[str] = field(default_factory=list)
    """Execs that ended, of which the platform will be told that it may forget them."""
    departed: dict[str, Container] = field(default_factory=dict)
    """Containers that another host has by now, and of which something is still here."""
    places: dict[str, Any] = field(default_factory=dict)
    """What was made for containers that come (`arriving.Place`)."""
    arriving: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By id, held while it is decided whether a container that comes is this host's."""
    settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while what is on this host and what the hubs say come to agree."""
    taking: set[str] = field(default_factory=set)
    """Containers of lost hosts that are being made here."""
    _host: platform.HostInfo | None = None

    def arrival(self, id: str) -> asyncio.Lock:
        """Who takes a container over, or abandons it, holds this."""
        return self.arriving.setdefault(id, asyncio.Lock())

    def depart(self, container: Container, node: str) -> None:
        """It is another host's from now on."""
        self.registry.move(container, node)
        self.departed[container.id] = container

    async def host(self) -> platform.HostInfo:
        """Facts of the host; asked for once (forwarding, until it is on: the network service switches it on)."""
        if self._host is None or not self._host.features.get("ipv4_forwarding", True):
            self._host = await self.bus.call(platform.HOST, Empty())
        return self._host

    async def save(self, container: Container, status: ContainerStatus) -> int:
        """The container has this status: at once for this process, durably when this returns."""
        container.become(status)
        self.moved(container)
        revision = await self.records.update_status(container.id, status, container.status_revision)
        container.status_revision = revision
        return revision

    async def save_spec(self, container: Container, spec: ContainerSpec, *, bound: bool = False) -> int:
        """The container is to be like this from now on; `bound`, or by what the spec asks for, only on this host."""
        stays = spec.generation and (bound or movable.bound_by(spec))
        if stays and self.movables is not None:  # first: a crash then leaves one that may move and is here
            await self.movables.bind(container.id)
        spec = msgspec.structs.replace(spec, generation=0) if stays else spec
        container.spec_revision = await self.records.update_spec(spec, container.spec_revision)
        container.spec = spec
        self.moved(container)
        return container.spec_revision

    def moved(self, container: Container) -> None:
        """What the hubs know of a movable container has changed."""
        if container.spec.generation and self.movables is not None:
            self.movables.tell(container.spec, movable.wanted(container.status))

    def tell(self, container: Container, action: str, **attributes: str) -> None:
        """Emits a Docker event of the container."""
        self.emit(container_event(container.spec, action, now_ns(), **attributes), container)

    def emit(self, event: DockerEvent, container: Container | None = None) -> None:
        """Of a container: whoever hears it finds the records as they are now."""
        if container is not None:
            revision = max(container.spec_revision, container.status_revision)
            event = msgspec.structs.replace(event, node=self.node, revision=revision)
        # Only the first word is in the subject: `exec_create: sh -c ...` may hold anything.
        self.bus.emit(CONTAINER_EVENT, event, suffix=event.action.partition(":")[0])

    async def workload(self, container_id: str) -> platform.Workload | None:
        """What the platform knows of a container's process."""
        listed = await self.bus.call(platform.LIST, Empty())
        return next((workload for workload in listed.workloads if workload.id == container_id), None)


async def patiently(what: str, call: Callable[[], Awaitable[object]]) -> None:
    """Makes an idempotent call until it is done: for what must not stay behind on the host."""
    pause = _FIRST_PAUSE
    while True:
        try:
            await call()
            return
        except (Unavailable, DeadlineExceeded) as error:
            log.warning("%s: %s; trying again", what, error)
        except Conflict as error:  # still in use by something that is about to end
            log.info("%s: %s; trying again", what, error)
        except ShoalError as error:
            log.error("%s: %s", what, error)
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
