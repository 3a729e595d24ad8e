"""A read model: the present records of some key families, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.contracts.base import Keys, Message
from shared.errors import Unavailable

M = TypeVar("M", bound=Message)

LATE = 1.0
"""Seconds until a change that is known to have been made counts as one that was missed: a broker that was restarted has
forgotten who watches, and it takes longer until its silence is noticed."""


@dataclass(frozen=True)
class Entry(Generic[M]):
    """A record as read: key, value, revision (Docker's `Version.Index`), trace of its last writer."""

    key: str
    value: M
    revision: int
    traceparent: str = ""


Listener = Callable[[Keys[Any], tuple[str, ...], Entry[Any] | None], None]
"""Told of each change: family, parts of the key, and the entry, or None when it was removed.

Of records that are written again at once, only the last state may be told: the broker keeps no older one."""


class View:
    """Fed by a watch through `apply`; reading costs no round trip. It shows all changes up to `revision`."""

    def __init__(self, *families: Keys[Any]) -> None:
        if len({keys.bucket for keys in families}) != 1:
            raise ValueError("a view shows families of one bucket: only there their revisions are in one order")
        self.families = families
        self.revision = 0
        self._entries: dict[str, dict[tuple[str, ...], Entry[Any]]] = {keys.pattern: {} for keys in families}
        self._listeners: list[Listener] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.live = True
        """Whether the feed goes on; else this is what was seen last, as of a host that is cut off."""
        self._on_live: list[Callable[[], None]] = []
        self.stop: Callable[[], None] = lambda: None
        """Ends the feed; may be called twice."""
        self.look_again: Callable[[], None] = lambda: None
        """Has the feeder begin anew after what is shown: what is known to be there does not come."""

    def get(self, keys: Keys[M], *parts: str) -> Entry[M] | None:
        return self._entries[keys.pattern].get(parts)

    def items(self, keys: Keys[M]) -> Iterator[tuple[tuple[str, ...], Entry[M]]]:
        """A snapshot of all entries of a family."""
        return iter(tuple(self._entries[keys.pattern].items()))

    def count(self, keys: Keys[Any]) -> int:
        return len(self._entries[keys.pattern])

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener for each change from now on; returns what ends this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def on_live(self, listener: Callable[[], None]) -> None:
        """Calls the listener whenever `live` has changed."""
        self._on_live.append(listener)

    def become_live(self, live: bool) -> None:
        """For feeders: the feed goes on, or is broken."""
        if live is not self.live:
            self.live = live
            for listener in tuple(self._on_live):
                listener()

    async def reached(self, revision: int, timeout: float = 10.0) -> None:
        """Returns when the view shows that revision or a later one."""
        if self.revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, future))
        looking = asyncio.get_running_loop().call_later(LATE, self.look_again)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            raise Unavailable("the state store is behind; is the broker up? see: shoal status") from None
        finally:
            looking.cancel()
            self._waiting = [pair for pair in self._waiting if pair[1] is not future]

    def family(self, key: str) -> tuple[Keys[Any], tuple[str, ...]] | None:
        """The family of this view that a key belongs to, with its parts."""
        for keys in self.families:
            parts = keys.parts(key)
            if parts is not None:
                return keys, parts
        return None

    def apply(self, key: str, entry: Entry[Any] | None, revision: int) -> None:
        """Takes over one change (None: removed). For feeders; an older revision than shown is ignored."""
        found = self.family(key)
        if found is not None:
            self._put(*found, entry, revision)
        self.advance(revision)

    def own(self, keys: Keys[M], parts: tuple[str, ...], value: M, revision: int) -> None:
        """Shows a record that this process has written, before the feed brings it; what others wrote before may come
        later.
        """
        self._put(keys, parts, Entry(keys.key(*parts), value, revision), revision)

    def _put(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None, revision: int) -> None:
        entries = self._entries[keys.pattern]
        present = entries.get(parts)
        if present is not None and present.revision >= revision:
            return
        if entry is not None:
            entries[parts] = entry
        elif entries.pop(parts, None) is None:
            return
        for listener in tuple(self._listeners):
            listener(keys, parts, entry)

    def advance(self, revision: int) -> None:
        """All changes up to this revision have been applied."""
        self.revision = max(self.revision, revision)
        for wanted, future in self._waiting:
            if wanted <= self.revision and not future.done():
                future.set_result(None)

    def retain(self, keys_seen: set[str]) -> None:
        """After a fresh start of the feed: whatever it did not show is gone."""
        for keys in self.families:
            for parts in tuple(self._entries[keys.pattern]):
                if keys.key(*parts) not in keys_seen:
                    del self._entries[keys.pattern][parts]
                    for listener in tuple(self._listeners):
                        listener(keys, parts, None)
