"""Hosts that are lost, and their containers, which are started elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set
from typing import Any

from shared import tenure
from shared.contracts.base import Keys
from shared.contracts.migrator import MIGRATIONS
from shared.contracts.movable import MOVABLE, TAKE, MovableRecord, TakeRequest
from shared.contracts.scheduler import HOST_LEASES, NODES, HostLease
from shared.errors import Conflict, ShoalError
from shared.ids import new_token
from shared.service import Kernel
from shared.state.view import Entry, View
from shared.tasks import TaskGroup
from shared.tenure import SECOND

from ..domain import rescue
from ..domain.vigil import Vigil, leader
from .placing import Placing
from .world import World

log = logging.getLogger(__name__)

WAIT = 2.0
TAKE_SECONDS = 30.0
RETRY = 1.0
"""Seconds until it is tried again to give up a host, when the hubs did not answer."""
AVOID_SECONDS = 20.0
"""For so long a container is not given again to a host that could not start it, or where none suits, to any."""
NOWHERE = ""


class Rescue:
    """Watches the leases of all hosts. One of the hosts acts; see `leader`."""

    def __init__(self, kernel: Kernel, world: World, placing: Placing, nodes: View) -> None:
        self._kernel, self._world, self._placing, self._nodes = kernel, world, placing, nodes
        self._vigil = Vigil()
        self._view: View | None = None
        self._changed = asyncio.Event()
        self._rescuing: set[str] = set()
        self._avoid: dict[tuple[str, str], float] = {}
        self._tasks = TaskGroup("rescue")

    async def open(self) -> None:
        self._view = await self._kernel.state.view(HOST_LEASES, MOVABLE, MIGRATIONS, wait=WAIT)
        for (node,), entry in self._view.items(HOST_LEASES):
            self._vigil.heard(node, entry.revision, tenure.now())
        self._view.on_change(self._on_change)
        self._view.on_live(self._changed.set)
        self._tasks.start(self._run(self._view), "watch")

    async def close(self) -> None:
        await self._tasks.close()

    def _on_change(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        if keys.pattern == HOST_LEASES.pattern:
            news = self._vigil.heard(parts[0], entry.revision if entry is not None else 0, tenure.now())
            if entry is not None and not entry.value.lost_by and not news:
                return  # a sign of life: nothing to do
        elif keys.pattern == MIGRATIONS.pattern and entry is not None:
            return  # only when it is over there may be something to do
        self._changed.set()

    async def _run(self, view: View) -> None:
        while True:
            silent = self._vigil.silent(tenure.now())
            lost = self._lost(view, silent)
            present = {node for (node,), _ in view.items(HOST_LEASES)} - lost - silent.keys()
            now = asyncio.get_running_loop().time()
            self._avoid = {pair: until for pair, until in self._avoid.items() if until > now}
            marked = True
            if leader(present) == self._kernel.node and view.live:
                marked = await self._mark(view, silent.keys() - lost)
                self._save(view, lost)
            await self._pause(silent.keys(), marked)

    async def _pause(self, known: Set[str], marked: bool) -> None:
        """Until something has changed, somebody has been silent for too long, or a host may be tried again."""
        now = tenure.now()
        due = self._vigil.due(known & self._vigil.silent(now).keys())
        seconds = [(due - now) / SECOND] if due is not None else []
        seconds += [] if marked else [RETRY]
        seconds += [until - asyncio.get_running_loop().time() for until in self._avoid.values()]
        try:
            async with asyncio.timeout(max(0.05, min(seconds)) if seconds else None):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    def _lost(self, view: View, silent: dict[str, int]) -> set[str]:
        """Hosts that were found silent, and those that were removed and have been silent since."""
        found = {node for (node,), entry in view.items(HOST_LEASES) if entry.value.lost_by}
        for _, entry in view.items(MOVABLE):
            node = entry.value.node
            if node and view.get(HOST_LEASES, node) is None and self._nodes.get(NODES, node) is None:
                self._vigil.heard(node, 0, tenure.now())
                found |= {node} & silent.keys()
        return found

    async def _mark(self, view: View, silent: set[str]) -> bool:
        """Gives hosts up; whether the hubs answered. Only who has not renewed its lease meanwhile is given up."""
        answered = True
        for node in silent:
            entry = view.get(HOST_LEASES, node)
            if entry is None:
                self._vigil.forget(node)
                continue
            value = HostLease(node=node, lost_by=self._kernel.node)
            try:
                await self._kernel.state.update(HOST_LEASES, node, value=value, revision=entry.revision)
                log.error("host %s is lost", node)
            except Conflict:
                self._vigil.again(node, tenure.now())
            except ShoalError as error:
                log.warning("host %s is silent, and cannot be given up: %s", node, error)
                answered = False
        return answered

    def _save(self, view: View, lost: set[str]) -> None:
        records = {id: entry for (id,), entry in view.items(MOVABLE)}
        migrating = {id for (id,), _ in view.items(MIGRATIONS)}  # whoever moves them carries that through
        for id in rescue.homeless({id: entry.value for id, entry in records.items()}, lost, migrating):
            if id not in self._rescuing and (id, NOWHERE) not in self._avoid:
                self._rescuing.add(id)
                self._tasks.start(self._rescue(id, records[id], lost), "rescue")

    async def _confirm(self, node: str) -> None:
        """Raises `Conflict` for a host without a lease that was not removed: a hub that is behind shows neither yet."""
        assert self._view is not None
        without_lease = node and self._view.get(HOST_LEASES, node) is None
        if without_lease and await self._kernel.state.get(NODES, node) is not None:
            raise Conflict(f"host {node} is one of the cluster's")

    async def _rescue(self, id: str, entry: Entry[MovableRecord], lost: set[str]) -> None:
        avoid = lost | {node for container, node in self._avoid if container == id}
        node = NOWHERE
        try:
            await self._confirm(entry.value.node)
            spec = entry.value.spec
            ask = rescue.ask(spec, avoid, self._world)
            node = self._world.fleet.decide(ask)
            pending = f"pending {new_token()}"
            self._world.fleet.put(pending, node, ask.load)
            try:
                await self._placing.bring(spec.image_id, spec.image_manifest, node)
                request = TakeRequest(id=id, revision=entry.revision)
                await self._kernel.bus.call(TAKE, request, node=node, timeout=TAKE_SECONDS)
            finally:
                self._world.fleet.drop(pending)
            log.warning("container %s (%s) was started on %s", id, spec.name, node)
        except ShoalError as error:
            log.error("container %s is not started on %s: %s", id, node or "any host", error)
            # after a `Conflict`, too: it may be one that stays, such as a port that is taken
            self._avoid[id, node] = asyncio.get_running_loop().time() + AVOID_SECONDS
        finally:
            self._rescuing.discard(id)
            self._changed.set()
