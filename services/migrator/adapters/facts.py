"""Finding out what a plan depends on."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.bus import Bus
from shared.contracts import executor, image_store, migration_driver, network, volume
from shared.contracts.base import Empty, Keys
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.migration_driver import MigratableRequest, MoveFacts, MoveHost
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, ShoalError, Unavailable
from shared.state import State
from shared.state.view import View

from ..domain.plan import Facts

WAIT = 3.0
"""Seconds for the records of a host that may be away."""


class Inquiry:
    """Asks records and services of both hosts."""

    def __init__(self, bus: Bus, state: State, node: str, nodes: View) -> None:
        self._bus, self._state, self._node, self._nodes = bus, state, node, nodes

    def host(self, reference: str) -> NodeRecord:
        """By id or name. Raises `NotFound`, `InvalidArgument` for a name that several have."""
        records = [entry.value for _, entry in self._nodes.items(NODES)]
        found = [each for each in records if each.id == reference] or [
            each for each in records if each.name == reference
        ]
        if not found:
            raise NotFound(f"node {reference} not found")
        if len(found) > 1:
            raise InvalidArgument(f"several nodes are called {reference}: name one by its id")
        return found[0]

    async def container(self, container_id: str) -> tuple[ContainerSpec, ContainerStatus]:
        """Of this host. Raises `NotFound`."""
        spec = await self._state.get(executor.SPECS, container_id)
        if spec is None:
            raise NotFound(f"No such container: {container_id}")
        status = await self._state.get(executor.STATUSES, container_id)
        return spec.value, status.value if status is not None else ContainerStatus()

    async def facts(
        self, container_id: str, target: NodeRecord, driver: str = "", measure: bool = False, line: int = 0
    ) -> Facts:
        """All that a plan needs. `measure`: also how fast memory is written; `line`: see `Facts`."""
        spec, status = await self.container(container_id)
        here, there, spanning = await asyncio.gather(
            self._records("", executor.SPECS, volume.SPECS, network.SPECS),
            self._records(target.id, volume.SPECS, network.SPECS),
            self._records("", network.CLUSTER_SPECS),
        )
        unmovable, processes, free = await self._processes(status, spec.id, target, driver, measure)
        volumes = {each.name: each for each in values(here, volume.SPECS)}
        mine = tuple(dict.fromkeys(point.name for point in spec.mounts if point.type == "volume" and point.name))
        others = [each for each in values(here, executor.SPECS) if each.id != spec.id]
        return Facts(
            spec=spec,
            status=status,
            source=self.host(self._node),
            target=target,
            ready=there is not None,
            volumes={name: volumes[name] for name in mine if name in volumes},
            target_volumes=frozenset(each.name for each in values(there, volume.SPECS)),
            networks={  # by a name a host means its own network first
                each.name: each for each in (*values(spanning, network.CLUSTER_SPECS), *values(here, network.SPECS))
            },
            target_networks=frozenset(each.name for each in values(there, network.SPECS)),
            shared={point.name: each.name for each in others for point in each.mounts if point.name in mine},
            joined_by=next((each.name for each in others if _joins(each, spec)), ""),
            unmovable=unmovable,
            memory=processes.memory_bytes,
            strategies=processes.strategies,
            log=processes.log,
            follows=processes.follows,
            written=processes.written,
            free=free,
            line=line,
            files=await self._files(spec, mine),
        )

    async def _processes(
        self, status: ContainerStatus, container_id: str, target: NodeRecord, driver: str, measure: bool
    ) -> tuple[tuple[str, ...], MoveFacts, int]:
        """Why its processes cannot come along, by what the driver says on both hosts; what it says of them, and
        how many bytes the target has for them.

        Raises `NotFound` where nobody serves a driver of that name.
        """
        nothing = MoveFacts(host=MoveHost())
        if status.state != "running":
            return (), nothing, 0
        try:
            here = await self._asked(driver, self.host(self._node), MigratableRequest(id=container_id, measure=measure))
            there = await self._asked(driver, target, MigratableRequest(source=here.host))
        except ShoalError as error:
            if driver and isinstance(error, NotFound):
                raise
            return (f"whether its processes can come along is not known: {error.message}",), nothing, 0
        return (*here.reasons, *there.reasons), here, there.host.memory_available

    async def _asked(self, driver: str, host: NodeRecord, request: MigratableRequest) -> MoveFacts:
        place = migration_driver.place(host.id, driver)
        try:
            return await self._bus.call(migration_driver.MIGRATABLE, request, node=place)
        except Unavailable:
            if not driver:
                raise
            raise NotFound(f"no migration driver is called {driver} on {host.name}") from None

    async def _records(self, host: str, *families: Keys[Any]) -> View | None:
        """A host's records as they are now; None when it does not answer."""
        wait = WAIT if host else None
        view = await self._state.view(*families, host=host, wait=wait)
        view.stop()
        return view if view.live else None

    async def _files(self, spec: ContainerSpec, volumes: tuple[str, ...]) -> int:
        """Bytes; what cannot be known now counts for nothing."""
        try:
            layers = await self._bus.call(image_store.USAGE, image_store.UsageRequest(keys=(spec.id,)))
            sizes = (await self._bus.call(volume.USAGE, Empty())).sizes if volumes else {}
        except ShoalError:
            return 0
        return layers.snapshots.get(spec.id, 0) + sum(sizes.get(name, 0) for name in volumes)


def values(view: View | None, keys: Keys[Any]) -> list[Any]:
    """The records of a family."""
    return [entry.value for _, entry in view.items(keys)] if view is not None else []


def _joins(other: ContainerSpec, spec: ContainerSpec) -> bool:
    asked = other.host_config
    names = {f"container:{spec.id}", f"container:{spec.name}"}
    return bool(names & {asked.network_mode, asked.pid_mode, asked.ipc_mode})


def check(reasons: tuple[str, ...]) -> None:
    """Raises `FailedPrecondition` with them."""
    if reasons:
        raise FailedPrecondition("; ".join(reasons))


def reachable(view: View) -> None:
    """Raises `Unavailable` when this host is cut off from its cluster."""
    if not view.live:
        raise Unavailable("this host is cut off from its cluster: nothing can be migrated now")
