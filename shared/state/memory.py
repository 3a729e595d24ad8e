"""The in-memory twin of the store, for tests of services."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from shared.contracts.base import AGREED, Keys, Message
from shared.errors import AlreadyExists, Conflict
from shared.state.store import seal, unseal
from shared.state.view import Entry, View

M = TypeVar("M", bound=Message)


class MemoryState:
    """Records pass through their stored form, so that what cannot be stored fails here too."""

    def __init__(self, writer: str = "memory") -> None:
        self._writer = writer
        self.hosts: dict[str, MemoryState] = {}
        """The stores of other hosts, by node id."""
        self.agreed: MemoryState | None = None
        """Who keeps what all hosts agree on; None: this one."""
        self._records: dict[tuple[str, str], tuple[bytes, int]] = {}  # by bucket and key
        self._revision = 0
        self._views: list[View] = []

    async def get(self, keys: Keys[M], *parts: str, host: str = "") -> Entry[M] | None:
        if host or self._elsewhere(keys):
            return await (self._elsewhere(keys) or self.hosts[host]).get(keys, *parts)
        key = keys.key(*parts)
        found = self._records.get((keys.bucket, key))
        return None if found is None else unseal(found[0], keys, key, found[1])

    def _elsewhere(self, keys: Keys[Any]) -> MemoryState | None:
        return self.agreed if keys.bucket == AGREED else None

    async def create(self, keys: Keys[M], *parts: str, value: M) -> int:
        if (elsewhere := self._elsewhere(keys)) is not None:
            return await elsewhere.create(keys, *parts, value=value)
        key = keys.key(*parts)
        if (keys.bucket, key) in self._records:
            raise AlreadyExists(f"{key} exists")
        return self._write(key, keys, value)

    async def update(self, keys: Keys[M], *parts: str, value: M, revision: int) -> int:
        if (elsewhere := self._elsewhere(keys)) is not None:
            return await elsewhere.update(keys, *parts, value=value, revision=revision)
        key = keys.key(*parts)
        self._expect((keys.bucket, key), revision)
        return self._write(key, keys, value)

    async def delete(self, keys: Keys[M], *parts: str, revision: int | None = None) -> int:
        if (elsewhere := self._elsewhere(keys)) is not None:
            return await elsewhere.delete(keys, *parts, revision=revision)
        key = keys.key(*parts)
        if revision is not None:
            self._expect((keys.bucket, key), revision)
        self._revision += 1
        self._records.pop((keys.bucket, key), None)
        self._tell(keys.bucket, key, None)
        return self._revision

    async def latest(self, keys: Keys[Any], host: str = "") -> int:
        if host:
            return await self.hosts[host].latest(keys)
        return self._revision  # or earlier: whoever has seen this one has seen that

    async def view(self, *keys: Keys[Any], host: str = "", wait: float | None = None) -> View:
        if (elsewhere := self._elsewhere(keys[0])) is not None:
            return await elsewhere.view(*keys)
        if host:
            return await self.hosts[host].view(*keys)
        view = View(*keys)
        for (bucket, key), (payload, revision) in self._records.items():
            found = view.family(key)
            if found is not None and bucket == keys[0].bucket:
                view.apply(key, unseal(payload, found[0], key, revision), revision)
        view.advance(self._revision)
        self._views.append(view)
        view.stop = lambda: self._stop(view)
        return view

    async def close(self) -> None:
        self._views.clear()

    def _stop(self, view: View) -> None:
        if view in self._views:
            self._views.remove(view)

    def _expect(self, key: tuple[str, str], revision: int) -> None:
        if self._records.get(key, (b"", 0))[1] != revision:
            raise Conflict(f"{key[1]} was changed by somebody else")

    def _write(self, key: str, keys: Keys[Any], value: Message) -> int:
        self._revision += 1
        payload = seal(value, self._writer)
        self._records[keys.bucket, key] = (payload, self._revision)
        self._tell(keys.bucket, key, unseal(payload, keys, key, self._revision))
        return self._revision

    def _tell(self, bucket: str, key: str, entry: Entry[Any] | None) -> None:
        loop = asyncio.get_running_loop()
        for view in self._views:  # later, as over a broker: who relies on seeing own writes at once must wait
            if view.families[0].bucket == bucket:
                loop.call_soon(view.apply, key, entry, self._revision)
            else:
                loop.call_soon(view.advance, self._revision)
