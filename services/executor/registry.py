"""The containers of this node, in memory."""

from __future__ import annotations

from collections.abc import Iterator

from shared.errors import NotFound

from .container import Container
from .domain.moving import check_stays, moved

MOST_MOVED = 1000
"""Containers that left of which it is remembered where they went."""


class Registry:
    """Found by id, name, or unique begin of an id, in this order, as in Docker."""

    def __init__(self) -> None:
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, Container] = {}
        self._moved: dict[str, str] = {}

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, container: Container) -> None:
        self._moved.pop(container.id, None)
        self._by_id[container.id] = container
        self._by_name[container.spec.name] = container

    def discard(self, container: Container) -> None:
        self._by_id.pop(container.id, None)
        if self._by_name.get(container.spec.name) is container:
            del self._by_name[container.spec.name]

    def renamed(self, container: Container, old: str) -> None:
        self._by_name.pop(old, None)
        self._by_name[container.spec.name] = container

    def find(self, reference: str) -> Container | None:
        found = self._by_id.get(reference) or self._by_name.get(reference.removeprefix("/"))
        if found is not None or not reference:
            return found
        matching = [container for container_id, container in self._by_id.items() if container_id.startswith(reference)]
        return matching[0] if len(matching) == 1 else None

    def get(self, reference: str) -> Container:
        """Raises `NotFound` in Docker's words; `moved_to` tells the node that has it now."""
        found = self.find(reference)
        if found is not None:
            return found
        if reference in self._moved:
            raise moved(reference, self._moved[reference])
        raise NotFound(f"No such container: {reference}")

    def staying(self, reference: str) -> Container:
        """As `get`; `Conflict` for one that is just being migrated."""
        found = self.get(reference)
        check_stays(found.spec.name, found.status)
        return found

    def move(self, container: Container, node: str) -> None:
        """It is another host's by now."""
        self.discard(container)
        self._moved[container.id] = node
        if len(self._moved) > MOST_MOVED:
            del self._moved[next(iter(self._moved))]

    def users_of(self, volume: str, but: str = "") -> tuple[str, ...]:
        """The ids of containers that have a volume."""
        return tuple(
            container.id
            for container in self
            if container.id != but and any(point.name == volume for point in container.spec.mounts)
        )
