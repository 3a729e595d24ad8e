"""The executor's records in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from shared.contracts.common import NameRecord
from shared.contracts.container import ContainerPlacement, ContainerSpec, ContainerStatus
from shared.contracts.executor import NAMES, PLACEMENTS, SPECS, STATUSES
from shared.errors import AlreadyExists, Conflict
from shared.state import State
from shared.tasks import TaskGroup

from .cluster_names import ClusterNames
from .movables import Movables
from .patience import patiently

TOLD_WITHIN = 2.0
"""Seconds for which a removal waits until the cluster knows that the name is free."""


@dataclass(frozen=True)
class Stored:
    """This node's records by container id, names by name, each with its revision."""

    specs: dict[str, tuple[ContainerSpec, int]] = field(default_factory=dict)
    statuses: dict[str, tuple[ContainerStatus, int]] = field(default_factory=dict)
    placements: dict[str, ContainerPlacement] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


class Records:
    """Writes that belong together are sent at once, in an order whose every prefix recovery can finish.

    The broker keeps one connection's writes in their order. A container exists for others from the moment
    its spec is there until the spec is gone; placement and status come before and go after it.
    """

    def __init__(
        self,
        state: State,
        node: str,
        node_name: str,
        tasks: TaskGroup,
        names: ClusterNames | None = None,
        movables: Movables | None = None,
    ) -> None:
        self._state, self._node, self._node_name, self._tasks = state, node, node_name, tasks
        self._names, self._movables = names, movables
        self._leaving: dict[str, asyncio.Task[None]] = {}  # names whose removal is on its way

    async def load(self) -> Stored:
        """Everything this node owns."""
        view = await self._state.view(NAMES, SPECS, PLACEMENTS, STATUSES)
        try:
            placements = {parts[0]: entry.value for parts, entry in view.items(PLACEMENTS)}
            mine = {key: placement for key, placement in placements.items() if placement.node == self._node}
            specs = {parts[0]: (entry.value, entry.revision) for parts, entry in view.items(SPECS) if parts[0] in mine}
            statuses = {
                parts[0]: (entry.value, entry.revision) for parts, entry in view.items(STATUSES) if parts[0] in mine
            }
            names = {
                parts[0]: entry.value.id
                for parts, entry in view.items(NAMES)
                if entry.value.node == self._node or entry.value.id in mine
            }
        finally:
            view.stop()
        return Stored(specs, statuses, mine, names)

    async def reserve(self, name: str, container_id: str) -> None:
        """Takes a name; raises `AlreadyExists`, and `Unavailable` where the cluster has to agree and cannot."""
        if self._names is None:
            await self._state.create(NAMES, name, value=NameRecord(id=container_id, node=self._node))
            return
        if name in self._leaving:  # whoever saw its container go may take it
            await asyncio.wait((self._leaving[name],))
        await self._names.take(name, container_id)
        try:
            await self._state.create(NAMES, name, value=NameRecord(id=container_id, node=self._node))
        except AlreadyExists:
            await self._names.release(name, container_id)
            raise

    async def holder(self, name: str) -> str:
        """The id of the container that has a name, empty when it was given up meanwhile."""
        entry = await self._state.get(NAMES, name)
        if entry is None and self._names is not None:
            return await self._names.holder(name)
        return entry.value.id if entry else ""

    async def release_name(self, name: str, container_id: str) -> None:
        """The container that had it is called so no more."""
        await self._state.delete(NAMES, name)
        if self._names is not None:
            await self._names.release(name, container_id)

    async def forget_host(self, node: str) -> None:
        """In a cluster: another host, which is none of it any more, holds no names."""
        if self._names is not None:
            await self._names.forget_host(node)

    def agree(self, names: Callable[[], Mapping[str, str]]) -> None:
        """In a cluster: what it knows of this host's names is made as `names` (to container ids) has it."""
        if self._names is not None:
            self._tasks.start(self._names.reconcile(names), "names")

    @property
    def node_name(self) -> str:
        return self._node_name

    async def place(
        self, container_id: str, making: tuple[str, ...] = (), incoming: str = "", driver: str = ""
    ) -> None:
        """A container is about to be made here, or with `incoming` brought here by a migration (and its driver)."""
        placement = ContainerPlacement(
            node=self._node, node_name=self._node_name, making=making, incoming=incoming, driver=driver
        )
        await self._state.create(PLACEMENTS, container_id, value=placement)

    async def making(self, container_id: str, volumes: tuple[str, ...]) -> None:
        """These volumes are about to be made for a container that was placed; none: they are the container's now."""
        entry = await self._state.get(PLACEMENTS, container_id)
        if entry is not None:
            placement = msgspec.structs.replace(entry.value, making=volumes)
            await self._state.update(PLACEMENTS, container_id, value=placement, revision=entry.revision)

    async def placement(self, container_id: str) -> ContainerPlacement | None:
        entry = await self._state.get(PLACEMENTS, container_id)
        return entry.value if entry is not None else None

    async def incoming(self) -> dict[str, ContainerPlacement]:
        """Containers that migrations are about to bring here, by id."""
        view = await self._state.view(PLACEMENTS)
        try:
            placements = {parts[0]: entry.value for parts, entry in view.items(PLACEMENTS)}
        finally:
            view.stop()
        return {each: place for each, place in placements.items() if place.node == self._node and place.incoming}

    async def arrived(self, container_id: str) -> None:
        """A container that was brought here is this host's, with its volumes."""
        entry = await self._state.get(PLACEMENTS, container_id)
        if entry is not None and entry.value.incoming:
            placement = msgspec.structs.replace(entry.value, making=(), incoming="", driver="")
            await self._state.update(PLACEMENTS, container_id, value=placement, revision=entry.revision)

    async def bring_name(self, name: str, container_id: str) -> None:
        """The name of a container that came from another host of the cluster."""
        if self._names is not None:
            await self._names.bring(name, container_id)
        try:
            await self._state.create(NAMES, name, value=NameRecord(id=container_id, node=self._node))
        except AlreadyExists:
            if await self.holder(name) != container_id:
                raise

    async def create(self, spec: ContainerSpec) -> int:
        """A new container, which was placed; the revision of its spec. It has no status before its first start."""
        try:
            return await self._state.create(SPECS, spec.id, value=spec)
        except AlreadyExists:
            entry = await self._state.get(SPECS, spec.id)
            if entry is None or entry.value != spec:
                raise
            return entry.revision

    async def update_spec(self, spec: ContainerSpec, revision: int) -> int:
        return await self._state.update(SPECS, spec.id, value=spec, revision=revision)

    async def update_status(self, container_id: str, status: ContainerStatus, revision: int) -> int:
        """The new revision; 0 stands for no status yet.

        What happened on the host must be told: while the store is away this tries again. `Conflict`: somebody
        else wrote it, so this executor is no more the one.
        """
        return await patiently(lambda: self._put_status(container_id, status, revision))

    async def _put_status(self, container_id: str, status: ContainerStatus, revision: int) -> int:
        try:
            if revision == 0:
                return await self._state.create(STATUSES, container_id, value=status)
            return await self._state.update(STATUSES, container_id, value=status, revision=revision)
        except (AlreadyExists, Conflict) as error:
            entry = await self._state.get(STATUSES, container_id)
            if entry is None or entry.value != status:  # else our own write, whose answer got lost
                raise Conflict(error.message) from None
            return entry.revision

    async def forget(self, spec: ContainerSpec) -> int:
        """The container is gone for everybody, and its name is free for whoever asks after that.

        Placement and status stay for `bury`. Where the cluster cannot be told soon, its name is free later.
        """
        if spec.generation and self._movables is not None:
            await self._movables.forget(spec.id)  # first: what is gone here must not be started elsewhere
        going = patiently(lambda: self._state.delete(SPECS, spec.id))
        revision, _ = await asyncio.gather(going, self.give_up_name(spec.name, spec.id))
        return revision

    async def give_up_name(self, name: str, container_id: str) -> None:
        """The name's removal is on its way when this returns; on this host nobody gets it before that is done."""
        leaving = self._leaving[name] = self._tasks.start(self._release(name, container_id), "name")
        leaving.add_done_callback(lambda _: self._leaving.pop(name, None))
        if self._names is not None:  # who asks next may ask another host
            await asyncio.wait((leaving,), timeout=TOLD_WITHIN)

    async def _release(self, name: str, container_id: str) -> None:
        await patiently(lambda: self._state.delete(NAMES, name))
        if self._names is not None:
            await self._names.release(name, container_id)

    async def bring(self, spec: ContainerSpec) -> int:
        """A container that was another host's: its name goes with it. The revision of its spec here."""
        await self._state.create(NAMES, spec.name, value=NameRecord(id=spec.id, node=self._node))
        revision = await self._state.create(SPECS, spec.id, value=spec)
        if self._names is not None:
            await self._names.bring(spec.name, spec.id)
        return revision

    async def leave(self, spec: ContainerSpec) -> None:
        """A container that another host has: its name in the cluster stays its name."""
        entry = await self._state.get(NAMES, spec.name)
        if entry is not None and entry.value.id == spec.id:
            await patiently(lambda: self._state.delete(NAMES, spec.name))
        await patiently(lambda: self._state.delete(SPECS, spec.id))

    async def bury(self, container_id: str, *, status: bool = True) -> None:
        """What is left of a forgotten container, once nothing of it is on the host. `status`: it may have one."""
        if status:
            await patiently(lambda: self._state.delete(STATUSES, container_id))
        await patiently(lambda: self._state.delete(PLACEMENTS, container_id))
