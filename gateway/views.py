"""The read model of containers: who is called what, what state they are in, and who waits for a change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared import deadline
from shared.contracts.base import Keys
from shared.contracts.common import DockerEvent, NameRecord
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.executor import CLUSTER_NAMES, NAMES, SPECS, STATUSES
from shared.errors import InvalidArgument, NotFound, Unavailable
from shared.state import State
from shared.state.view import Entry, View

log = logging.getLogger(__name__)

FULL_ID = 64
PATIENCE = 10.0
"""Seconds until what was written has to be seen."""
FAMILIES = (SPECS, STATUSES)
MOVE_PATIENCE = 30.0
"""Seconds for which a container that has left its host is shown as it was there, until it is seen where it went."""
EVENT_PATIENCE = 2.0
"""Seconds for which an event is held back until what it tells of is seen."""
_UNKNOWN = ContainerStatus()


@dataclass(eq=False)
class Container:
    """One container as last seen. `parts` keeps its encoded forms until a record of it changes."""

    spec: ContainerSpec
    status: ContainerStatus
    node: str
    parts: dict[Any, Any] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    """What it links to, as Docker writes it: `/other:/own/alias`."""
    aliases: tuple[str, ...] = ()
    """What others call it that link to it: `/other/alias`."""

    @property
    def id(self) -> str:
        return self.spec.id


class Containers:
    """Reads from a watch-fed view; asks the store itself only for what the view does not know yet."""

    def __init__(self, state: State, view: View, node: str = "") -> None:
        self._state, self._node = state, node
        self.in_touch: Callable[[], bool] = lambda: False
        """Whether this host is in a cluster, and can ask it."""
        self.complete: Callable[[], bool] = lambda: True
        """Whether it is known which hosts there are, and all of them are watched."""
        self.changed: Callable[[], None] = lambda: None
        """Called after each change of what is shown."""
        self._views = {node: view}
        self._by_id: dict[str, Container] = {}
        self._named: dict[str, list[str]] = {}
        self._sorted: list[Container] | None = None
        self._followers: dict[str, list[asyncio.Queue[Container | None]]] = {}
        self._linking: set[str] = set()
        self._outlived: dict[str, int] = {}
        """Removed containers of which a host still has an older record: the generation that was removed."""
        self._show(node, view)

    @classmethod
    async def open(cls, state: State, node: str = "") -> Containers:
        return cls(state, await state.view(*FAMILIES), node)

    async def add_host(self, node: str, wait: float) -> View:
        """Another host's containers are shown from now on; for `wait` seconds it is waited for."""
        view = await self._state.view(*FAMILIES, host=node, wait=wait)
        self._views[node] = view
        self._show(node, view)
        return view

    def host_changed(self, node: str) -> None:
        """What inspect tells of a host has changed."""
        for one in self.of(node):
            one.parts.clear()
        self.changed()

    def of(self, node: str) -> list[Container]:
        """The containers of one host, the newest first: whose volumes and networks are there."""
        return [one for one in self.all() if one.node == node]

    def drop_host(self, node: str) -> None:
        """Another host's containers are of this cluster no more."""
        view = self._views.pop(node, None)
        if view is not None:
            view.stop()
            for (id,), _ in view.items(SPECS):
                self._forget(node, id)
                self._tell(id)

    def _show(self, node: str, view: View) -> None:
        for (id,), _ in view.items(SPECS):
            self._refresh(node, id)
        self.changed()

        def changed(keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
            if self._views.get(node) is view:
                self._refresh(node, parts[0])
                self._tell(parts[0])

        view.on_change(changed)

    def _tell(self, id: str) -> None:
        self.changed()
        for follower in self._followers.get(id, ()):
            follower.put_nowait(self._by_id.get(id))

    def _forget(self, node: str, id: str) -> None:
        """A host has it no more; another may have it by now."""
        before = self._by_id.get(id)
        if before is None or before.node != node:
            self._outlived.pop(id, None)
            return
        moved_to = before.status.moved_to
        if moved_to in self._views and not self._has_moved(id, moved_to):  # the other host's record is still to come
            asyncio.get_running_loop().call_later(MOVE_PATIENCE, self._lost, before)
            return
        del self._by_id[id]
        self._rename(id, before.spec.name, "")
        self._sorted = None
        self._relink(id)
        for other, view in self._views.items():
            if other != node and view.get(SPECS, id) is not None:
                self._outlived[id] = before.spec.generation
                self._refresh(other, id)

    def _has_moved(self, id: str, node: str) -> bool:
        """Whether that host shows the container as its own."""
        view = self._views.get(node)
        if view is None or view.get(SPECS, id) is None:
            return False
        status = view.get(STATUSES, id)
        return status is None or not status.value.moved_to

    def _lost(self, moved: Container) -> None:
        """It never came up where it went."""
        if self._by_id.get(moved.id) is moved:
            moved.status = msgspec.structs.replace(moved.status, moved_to="")
            self._forget(moved.node, moved.id)
            self._tell(moved.id)

    def _rename(self, id: str, old: str, new: str) -> None:
        """Of several, as when a host joined with a name that was taken, this host's own comes first."""
        if old == new:
            return
        if old:
            self._named[old].remove(id)
            if not self._named[old]:
                del self._named[old]
        if new:
            self._named.setdefault(new, []).append(id)
            self._named[new].sort(key=lambda id: self._by_id[id].node != self._node)

    def _refresh(self, node: str, id: str) -> None:
        view = self._views[node]
        spec = view.get(SPECS, id)
        if spec is None:
            self._forget(node, id)
            return
        status = view.get(STATUSES, id)
        before = self._by_id.get(id)
        if status is not None and self._has_moved(id, status.value.moved_to):
            if before is None or before.node == node:
                self._refresh(status.value.moved_to, id)
            return
        if spec.value.generation < self._outlived.get(id, 0):
            return
        if before is not None and before.node != node and before.spec.generation > spec.value.generation:
            return  # a host that was away tells of what was started again elsewhere
        if before is None:
            self._sorted = None
        self._by_id[id] = fresh = Container(
            spec.value,
            # On removal the records go one after another: what was last known counts until the last has gone.
            status.value if status is not None else before.status if before is not None else _UNKNOWN,
            node,
        )
        self._rename(id, before.spec.name if before is not None else "", fresh.spec.name)
        if self._sorted is not None:
            self._sorted = [fresh if known.id == id else known for known in self._sorted]
        self._relink(id)

    def _relink(self, changed: str) -> None:
        """Links name two containers: what both show depends on either. Few containers have any."""
        known = self._by_id.get(changed)
        if known is not None and known.spec.host_config.links:
            self._linking.add(changed)
        elif changed in self._linking:
            self._linking.discard(changed)
        elif not self._linking:
            return
        aliases: dict[str, list[str]] = {}
        links: dict[str, list[str]] = {}
        for id in self._linking:
            parent = self._by_id[id].spec
            for child, alias in (link.split(":", 1) for link in parent.host_config.links if ":" in link):
                name = f"/{parent.name}/{alias}"
                aliases.setdefault(child, []).append(name)
                shown = self._by_id[child].spec.name if child in self._by_id else child
                links.setdefault(id, []).append(f"/{shown}:{name}")
        for one in self._by_id.values():
            now = (tuple(links.get(one.id, ())), tuple(sorted(aliases.get(one.id, ()))))
            if now != (one.links, one.aliases):
                one.links, one.aliases = now
                one.parts.clear()

    async def reached(self, revision: int, node: str = "") -> None:
        """Returns when what a call wrote on a host (none: this one) is seen here.

        It is written: that records of another host are late (as where a link breaks just then) is no failure of it.
        """
        view = self._views.get(node or self._node)
        if revision and view is not None:
            try:
                await view.reached(revision, PATIENCE)
            except Unavailable:
                if node in ("", self._node):
                    raise
                log.warning("what was written on the host %s is not seen here yet", node)

    async def catch_up(self, node: str, patience: float) -> None:
        """Returns when all containers that a host has by now are seen here: what it uses is known then.

        Raises `Unavailable` for a host that does not tell within so many seconds, or is seen later.
        """
        if node == self._node:
            return  # its records come in order with its services' answers
        view = self._views.get(node)
        if view is None:
            raise Unavailable("it is not watched yet")
        with deadline.within(patience):
            latest = await self._state.latest(SPECS, host=node)
        await view.reached(latest, patience)

    async def shows(self, event: DockerEvent) -> None:
        """Returns when what an event tells of is seen here (or takes too long): who hears it may look at once."""
        view = self._views.get(event.node)
        if view is not None and view.live:
            with contextlib.suppress(Unavailable):
                await view.reached(event.revision, EVENT_PATIENCE)

    def all(self) -> list[Container]:
        """All containers, the newest first."""
        if self._sorted is None:
            self._sorted = sorted(self._by_id.values(), key=lambda one: one.spec.created, reverse=True)
        return self._sorted

    def get(self, id: str) -> Container | None:
        return self._by_id.get(id)

    async def find(self, reference: str) -> Container:
        """By full id, name, or unique id prefix. Raises `NotFound`, `InvalidArgument` in Docker's words."""
        found = self.known(reference)
        if found is None:
            found = await self._ask(reference)
        unseen = any(not view.live and not view.revision for view in self._views.values())
        if found is None and (unseen or not self.complete()):
            raise Unavailable(f"nothing is known of a host of the cluster yet: {reference} may be there")
        if found is None:
            raise NotFound(f"No such container: {reference}")
        return found

    def known(self, reference: str) -> Container | None:
        """As `find`, from what has been seen; None when nothing matches."""
        found = self._by_id.get(reference)
        if found is not None:
            return found
        named = self._named.get(reference.removeprefix("/"))
        if named:
            return self._by_id[named[0]]
        if "/" in reference and self._linking:
            called = f"/{reference.removeprefix('/')}"
            return next((one for one in self._by_id.values() if called in one.aliases), None)
        return self._by_prefix(reference)

    def _by_prefix(self, prefix: str) -> Container | None:
        if not prefix or not prefix.isalnum():
            return None
        matches = [id for id in self._by_id if id.startswith(prefix)]
        if len(matches) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {prefix}")
        return self._by_id[matches[0]] if matches else None

    async def _ask(self, reference: str) -> Container | None:
        """The view may be a moment behind: another gateway's client may have been faster."""
        id, node = reference, self._node
        if len(reference) != FULL_ID or not reference.isalnum():
            if not reference.removeprefix("/"):
                return None
            name = await self._holder(reference.removeprefix("/"))
            if name is None:
                return None
            id, node = name.id, name.node or self._node
        view = self._views.get(node)
        spec = await self._state.get(SPECS, id, host="" if node == self._node else node)
        if spec is None or view is None:
            return None
        await view.reached(spec.revision)
        return self._by_id.get(id)

    async def _holder(self, name: str) -> NameRecord | None:
        """Who has a name in the cluster. A host that is cut off knows its own containers, and says so of no other."""
        entry = await self._state.get(CLUSTER_NAMES if self.in_touch() else NAMES, name)
        return entry.value if entry is not None else None

    async def follow(self, container: Container) -> AsyncGenerator[Container | None]:
        """The container now and after each change, none left out; None, at the end, when it is removed."""
        changes: asyncio.Queue[Container | None] = asyncio.Queue()
        followers = self._followers.setdefault(container.id, [])
        followers.append(changes)
        present = self._by_id.get(container.id)
        try:
            while present is not None:
                yield present
                present = await changes.get()
            yield None
        finally:
            followers.remove(changes)
            if not followers:
                self._followers.pop(container.id, None)
