"""The other hosts of the cluster: their containers come into the read model, and leave it with them."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.contracts.base import Keys
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import NotFound
from shared.state import State
from shared.state.view import Entry, View
from shared.tasks import TaskGroup

from .views import Containers

WAIT = 2.0
"""Seconds that a gateway waits at its start for hosts that may be away."""


class Hosts:
    """Follows the cluster's hosts; on a host that is in no cluster there are none, and nothing is watched."""

    def __init__(self, state: State, node: str, containers: Containers) -> None:
        self._state, self._node, self._containers = state, node, containers
        self._nodes: View | None = None
        self._views: dict[str, View] = {}
        self._coming: set[str] = set()
        self._seen = False
        self._tasks = TaskGroup("hosts")

    async def open(self) -> None:
        """Returns when the containers of all hosts that answer are known."""
        self._nodes = await self._state.view(NODES, wait=WAIT)
        self._nodes.on_change(self._changed)
        self._nodes.on_live(self._live_changed)
        self._live_changed()
        self._containers.in_touch, self._containers.complete = self.in_touch, self.complete
        await asyncio.gather(*(self._add(node) for (node,), _ in self._nodes.items(NODES) if node != self._node))

    async def close(self) -> None:
        await self._tasks.close()

    def _live_changed(self) -> None:
        self._seen |= self.in_touch()

    def _changed(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        node = parts[0]
        self._containers.host_changed(node)
        if node == self._node:
            return
        if entry is None:
            self._views.pop(node, None)
            self._containers.drop_host(node)
        elif node not in self._views and node not in self._coming:
            self._tasks.start(self._add(node), "host")

    async def _add(self, node: str) -> None:
        self._coming.add(node)
        try:
            self._views[node] = await self._containers.add_host(node, WAIT)
        finally:
            self._coming.discard(node)
        if self.record(node) is None:  # removed meanwhile
            self._views.pop(node)
            self._containers.drop_host(node)

    def record(self, node: str) -> NodeRecord | None:
        """What is known of a host of the cluster; None where there is no such host, or no cluster."""
        entry = self._nodes.get(NODES, node) if self._nodes is not None else None
        return entry.value if entry is not None else None

    def all(self) -> list[NodeRecord]:
        """All hosts, this one too, by name; none where there is no cluster."""
        if self._nodes is None:
            return []
        return sorted((entry.value for _, entry in self._nodes.items(NODES)), key=lambda record: record.name)

    def in_touch(self) -> bool:
        """Whether this host is in a cluster, and not cut off from it."""
        return self._nodes is not None and self._nodes.live

    def complete(self) -> bool:
        """Whether the hosts of the cluster were seen since this gateway began, and are watched."""
        return self._seen and not self._coming

    def down(self) -> frozenset[str]:
        """Hosts that are not heard of now: what is known of their containers is what was seen last."""
        return frozenset(node for node, view in self._views.items() if not view.live)

    def reachable(self) -> tuple[str, ...]:
        """This host, and the others that are heard of."""
        return (self._node, *(node for node, view in self._views.items() if view.live))

    def present(self) -> tuple[str, ...]:
        """This host first, then the others by name, without those that are away: who has not been heard of since this
        gateway began may be there.
        """
        away = {node for node, view in self._views.items() if not view.live and view.revision}
        others = {record.id for record in self.all()} - away - {self._node}
        return (self._node, *sorted(others, key=self.name))

    def name(self, node: str) -> str:
        """What a host is called."""
        record = self.record(node)
        return record.name if record is not None else node

    def split(self, name: str) -> tuple[str, str]:
        """`host/name` as the host's id and the name; no host where none of the cluster is called so."""
        host, slash, plain = name.partition("/")
        if slash and plain:
            for record in self.all():
                if host in (record.name, record.id):
                    return record.id, plain
        return "", name

    def called(self, name: str) -> str:
        """The id of the host of that name or id; raises `NotFound`."""
        found = next((record.id for record in self.all() if name in (record.name, record.id)), "")
        if not found:
            raise NotFound(f"node {name} not found")
        return found
