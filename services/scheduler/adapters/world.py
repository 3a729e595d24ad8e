"""What is on which host, fed by watching the records of all of them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Set
from typing import Any

from shared.contracts import executor, image_store, network, volume
from shared.contracts.base import Keys
from shared.contracts.scheduler import NODES
from shared.errors import Unavailable
from shared.state import State
from shared.state.view import Entry, View
from shared.tasks import TaskGroup

from ..domain.asking import load_of
from ..domain.facts import Host
from ..domain.fleet import Fleet

FAMILIES = (executor.SPECS, volume.SPECS, network.SPECS, image_store.REFERENCES)
WAIT = 2.0
"""Seconds to wait at the start for hosts that may be away."""


class Index:
    """Names to the hosts that have something of that name."""

    def __init__(self) -> None:
        self._hosts: dict[str, Counter[str]] = defaultdict(Counter)
        self._named: dict[tuple[str, str], tuple[str, ...]] = {}

    def set(self, host: str, key: str, names: tuple[str, ...]) -> None:
        """What a host's record `key` is called; nothing: it is gone."""
        for name in self._named.pop((host, key), ()):
            self._hosts[name][host] -= 1
            if not self._hosts[name][host]:
                del self._hosts[name][host]
            if not self._hosts[name]:
                del self._hosts[name]
        if names:
            self._named[host, key] = names
            for name in names:
                self._hosts[name][host] += 1

    def drop(self, host: str) -> None:
        for of, key in [pair for pair in self._named if pair[0] == host]:
            self.set(of, key, ())

    def of(self, name: str) -> Set[str]:
        """Not a copy: it changes with the index."""
        return self._hosts[name].keys() if name in self._hosts else frozenset()


class World:
    """The scheduler's picture of the cluster. `nodes` is the view of the hosts' records."""

    def __init__(self, state: State, node: str, nodes: View) -> None:
        self._state, self._node, self._nodes = state, node, nodes
        self.fleet = Fleet()
        self._views: dict[str, View] = {}
        self._across: View | None = None
        self._coming: set[str] = set()
        self._seen: set[str] = set()
        self._volumes, self._networks, self._images = Index(), Index(), Index()
        self._names: dict[str, list[str]] = defaultdict(list)
        self._called: dict[str, str] = {}
        self._generation: dict[str, int] = {}
        self._tasks = TaskGroup("world")
        self._heard: list[Callable[[], None]] = []

    async def open(self) -> None:
        """Returns when all hosts that answer are seen."""
        self._nodes.on_change(self._node_changed)
        self._across = await self._state.view(network.CLUSTER_SPECS, wait=WAIT)
        present = [parts[0] for parts, _ in self._nodes.items(NODES)]
        await asyncio.gather(*(self._add(node) for node in {self._node, *present}))

    async def close(self) -> None:
        await self._tasks.close()

    def view(self, node: str) -> View | None:
        """The records of a host."""
        return self._views.get(node)

    def reachable(self) -> tuple[str, ...]:
        """The hosts that are heard of."""
        return tuple(node for node, view in self._views.items() if view.live)

    def on_heard(self, callback: Callable[[], None]) -> None:
        """Calls back when other hosts are heard of than before."""
        self._heard.append(callback)

    def _node_changed(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        if keys.pattern != NODES.pattern:
            return
        node = parts[0]
        if entry is None and node != self._node:
            self._remove(node)
        elif node in self._views:
            self._set_host(node)
        else:
            self._tasks.start(self._add(node), "host")

    async def _add(self, node: str) -> None:
        if node in self._views or node in self._coming:
            return
        self._coming.add(node)
        try:
            view = await self._state.view(*FAMILIES, host="" if node == self._node else node, wait=WAIT)
        finally:
            self._coming.discard(node)
        self._views[node] = view
        self._set_host(node)
        for keys in FAMILIES:
            self._take(node, view, keys)
        view.on_change(lambda keys, parts, entry: self._record(node, keys, parts, entry))
        view.on_live(lambda: self._live_changed(node))
        self._live_changed(node)
        if node != self._node and self._nodes.get(NODES, node) is None:  # removed meanwhile
            self._remove(node)

    def _live_changed(self, node: str) -> None:
        if (view := self._views.get(node)) is not None and view.live:
            self._seen.add(node)
        self._set_host(node)
        for callback in self._heard:
            callback()

    def _take(self, node: str, view: View, keys: Keys[Any]) -> None:
        for parts, entry in view.items(keys):
            self._record(node, keys, parts, entry)

    def _remove(self, node: str) -> None:
        view = self._views.pop(node, None)
        if view is None:
            return
        view.stop()
        self._seen.discard(node)
        for parts, _ in view.items(executor.SPECS):
            self._container(node, parts[0], None)
        self.fleet.remove_host(node)
        for index in (self._volumes, self._networks, self._images):
            index.drop(node)

    def _set_host(self, node: str) -> None:
        entry, view = self._nodes.get(NODES, node), self._views.get(node)
        if entry is not None and view is not None:
            self.fleet.set_host(Host.of(entry.value, ready=view.live or node == self._node))
            for parts, present in view.items(executor.SPECS):
                self._container(node, parts[0], present)

    def _record(self, node: str, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        if node not in self._views:
            return
        value = entry.value if entry is not None else None
        match keys.pattern:
            case executor.SPECS.pattern:
                self._container(node, parts[0], entry)
            case volume.SPECS.pattern:
                self._volumes.set(node, parts[1], (value.name,) if value else ())
            case network.SPECS.pattern:
                names = (value.id, value.name) if value is not None and value.scope == "local" else ()
                self._networks.set(node, parts[0], names)
            case _:
                self._images.set(node, parts[1], (value.image_id,) if value else ())

    def _container(self, node: str, id: str, entry: Entry[Any] | None) -> None:
        where = self.fleet.host_of(id)
        if entry is None:
            if where not in ("", node):
                return  # it moved
        elif where not in ("", node) and self._generation.get(id, 0) > entry.value.generation:
            return  # what a host that was away says of one that moved
        self._generation.pop(id, None)
        name = self._called.pop(id, None)
        if name is not None:
            self._names[name].remove(id)
            if not self._names[name]:
                del self._names[name]
        if entry is None:
            self.fleet.drop(id)
            return
        if entry.value.generation:
            self._generation[id] = entry.value.generation
        self._called[id] = entry.value.name
        self._names[entry.value.name].append(id)
        self.fleet.put(id, node, load_of(entry.value.host_config))

    def hosts_called(self, name: str) -> frozenset[str]:
        return frozenset(parts[0] for parts, entry in self._nodes.items(NODES) if name in (parts[0], entry.value.name))

    def name(self, node: str) -> str:
        """What a host is called."""
        entry = self._nodes.get(NODES, node)
        return entry.value.name if entry is not None else node

    def host_of(self, container: str) -> str:
        name = container.removeprefix("/")
        ids = self._names.get(name, [])
        if not ids and name:
            ids = [id for id in self._called if id.startswith(name)]
        return self.fleet.host_of(ids[0]) if len(ids) == 1 else ""

    def containers_of(self, node: str) -> int:
        """How many containers a host has, as far as is known."""
        view = self._views.get(node)
        return len(list(view.items(executor.SPECS))) if view is not None else 0

    def with_volume(self, name: str) -> frozenset[str]:
        return frozenset(self._volumes.of(name))

    async def settled(self) -> None:
        """Returns when it is known what hosts have that have just come, or that they do not answer."""
        if self._coming:
            await self._tasks.drain(WAIT)

    def check(self) -> None:
        """Raises `Unavailable` as long as this host, which is one of them, has not heard which hosts there are."""
        if self._nodes.get(NODES, self._node) is None:
            raise Unavailable("this host has not heard from its cluster yet; see: shoal node ls")

    def unseen(self) -> tuple[str, ...]:
        nodes = ((node, entry.value.name) for (node,), entry in self._nodes.items(NODES))
        return tuple(sorted(name for node, name in nodes if node not in self._seen))

    def with_network(self, name: str) -> frozenset[str]:
        return frozenset(self._networks.of(name))

    def spans(self, name: str) -> bool:
        known = self._across.items(network.CLUSTER_SPECS) if self._across is not None else ()
        return any(name in (entry.value.name, entry.value.id) for _, entry in known)

    def names_lacking(self, image_id: str, node: str) -> tuple[str, ...]:
        """Names of an image on hosts that have it, of which a host has none yet, neither for this image nor another."""
        here, there = self._references(node), set[str]()
        for other in self._images.of(image_id):
            there |= {name for name, id in self._references(other).items() if id == image_id}
        return tuple(sorted(there - here.keys()))

    def _references(self, node: str) -> dict[str, str]:
        view = self._views.get(node)
        found = view.items(image_store.REFERENCES) if view is not None else ()
        return {entry.value.reference: entry.value.image_id for _, entry in found}

    def with_image(self, image_id: str) -> Set[str]:
        return self._images.of(image_id)
