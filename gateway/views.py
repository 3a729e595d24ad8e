"""The read model of containers: who is called what, what state they are in, and who waits for a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.base import Keys
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.contracts.executor import NAMES, PLACEMENTS, SPECS, STATUSES
from shared.errors import InvalidArgument, NotFound
from shared.state import State
from shared.state.view import Entry, View

FULL_ID = 64
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

    def __init__(self, state: State, view: View) -> None:
        self._state, self._view = state, view
        self._by_id: dict[str, Container] = {}
        self._sorted: list[Container] | None = None
        self._followers: dict[str, list[asyncio.Queue[Container | None]]] = {}
        self._linking: set[str] = set()
        for (id,), _ in view.items(SPECS):
            self._refresh(id)
        view.on_change(self._changed)

    @classmethod
    async def open(cls, state: State) -> Containers:
        return cls(state, await state.view(SPECS, PLACEMENTS, STATUSES, NAMES))

    def _changed(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        if keys.pattern == NAMES.pattern:
            return
        self._refresh(parts[0])
        for follower in self._followers.get(parts[0], ()):
            follower.put_nowait(self._by_id.get(parts[0]))

    def _refresh(self, id: str) -> None:
        spec = self._view.get(SPECS, id)
        if spec is None:
            self._by_id.pop(id, None)
            self._sorted = None
            self._relink(id)
            return
        status, placement = self._view.get(STATUSES, id), self._view.get(PLACEMENTS, id)
        before = self._by_id.get(id)
        if before is None:
            self._sorted = None
        self._by_id[id] = fresh = Container(
            spec.value,
            # On removal the records go one after another: what was last known counts until the last has gone.
            status.value if status is not None else before.status if before is not None else _UNKNOWN,
            placement.value.node if placement is not None else before.node if before is not None else "",
        )
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

    async def reached(self, revision: int) -> None:
        """Returns when what a call wrote is seen here."""
        if revision:
            await self._view.reached(revision)

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
        if found is None:
            raise NotFound(f"No such container: {reference}")
        return found

    def known(self, reference: str) -> Container | None:
        """As `find`, from what has been seen; None when nothing matches."""
        found = self._by_id.get(reference)
        if found is not None:
            return found
        name = self._view.get(NAMES, reference.removeprefix("/")) if reference.removeprefix("/") else None
        if name is not None:
            return self._by_id.get(name.value.id)
        if "/" in reference and self._linking:
            called = f"/{reference.removeprefix('/')}"
            return next((one for one in self._by_id.values() if called in one.aliases), None)
        return self._by_prefix(reference)

    def _by_prefix(self, prefix: str) -> Container | None:
        if not prefix or not prefix.isalnum():
            return None
        matches = [id for id in self._by_id if id.startswith(prefix)]
        if len(matches) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {prefix}")
        return self._by_id[matches[0]] if matches else None

    async def _ask(self, reference: str) -> Container | None:
        """The view may be a moment behind: another gateway's client may have been faster."""
        id = reference
        if len(reference) != FULL_ID or not reference.isalnum():
            if not reference.removeprefix("/"):
                return None
            name = await self._state.get(NAMES, reference.removeprefix("/"))
            if name is None:
                return None
            id = name.value.id
        spec = await self._state.get(SPECS, id)
        if spec is None:
            return None
        await self._view.reached(spec.revision)
        return self._by_id.get(id)

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
