"""The names of this node's images, in the state store."""

from __future__ import annotations

from shared.contracts.image_store import REFERENCES, ReferenceRecord
from shared.errors import AlreadyExists, Conflict
from shared.state import Entry, State, View

from ..domain.catalog import Catalog

_TRIES = 5


class KvReferences:
    """Records `references.<node>.<name>`; the catalog follows them, whoever writes."""

    def __init__(self, state: State, node: str, catalog: Catalog) -> None:
        self._state, self._node, self._catalog = state, node, catalog
        self._view: View | None = None

    async def open(self) -> None:
        self._view = await self._state.view(REFERENCES)
        self._view.on_change(lambda keys, parts, entry: self._changed(parts, entry))
        for parts, entry in self._view.items(REFERENCES):
            self._changed(parts, entry)

    def _changed(self, parts: tuple[str, ...], entry: Entry[ReferenceRecord] | None) -> None:
        node, name = parts
        if node != self._node:
            return
        if entry is None:
            self._catalog.unname(name)
        else:
            self._catalog.name(entry.value)

    async def put(self, record: ReferenceRecord) -> None:
        for attempt in range(_TRIES):
            try:
                await self._seen(await self._write(record, first=attempt == 0))
                return
            except (AlreadyExists, Conflict):  # another load tags the same name: the last one wins
                if attempt == _TRIES - 1:
                    raise

    async def _write(self, record: ReferenceRecord, *, first: bool) -> int:
        """What is there is known, unless somebody else writes."""
        assert self._view is not None
        parts = (self._node, record.reference)
        present = self._view.get(REFERENCES, *parts) if first else await self._state.get(REFERENCES, *parts)
        if present is None:
            return await self._state.create(REFERENCES, *parts, value=record)
        return await self._state.update(REFERENCES, *parts, value=record, revision=present.revision)

    async def delete(self, reference: str) -> None:
        await self._seen(await self._state.delete(REFERENCES, self._node, reference))

    async def _seen(self, revision: int) -> None:
        assert self._view is not None
        await self._view.reached(revision)
