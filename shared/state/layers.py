"""What the stream of a bucket keeps of a key below its last message.

A write that takes what it replaces out of the stream's files is synced twice, once for each. So only each `LAYERS`th
write to a key does, and a removal is told by a marker first; another, which takes it out, follows once nothing has been
written for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from shared.contracts.base import Keys
from shared.errors import ShoalError
from shared.tasks import TaskGroup

LAYERS = 8
"""Messages that the stream may have of a key."""
QUIET = 0.5
"""Seconds without a write after which what removals have left is taken away."""
MOST_LEFT = 1000
"""Removals of which something is left; of any more nothing is, at once."""


class Layers:
    """How many messages the stream has of a key; known of those that this process wrote last."""

    def __init__(self) -> None:
        self.kept = False
        """Whether the stream keeps several messages of a key: one that an older engine has made does not."""
        self._known: dict[str, tuple[int, int]] = {}

    def last(self, key: str) -> int:
        """The revision of its last message; 0 where that is not known."""
        return self._known.get(key, (0, 0))[0]

    def below(self, key: str, revision: int) -> int:
        """How many messages may stay below one that follows this revision; 0: it has to take away what there is."""
        last, layers = self._known.get(key, (0, 0))
        return layers if self.kept and last == revision and layers < LAYERS else 0

    def put(self, key: str, revision: int, below: int) -> None:
        """Its last message, on top of so many."""
        self._known[key] = (revision, below + 1)

    def forget(self, key: str) -> None:
        """Somebody else may have written it, or nothing is left."""
        self._known.pop(key, None)


class Leftovers:
    """Removed keys whose last value is still in the stream, until `clear` has taken it away.

    `clear` gets family and key, and the revision of the marker that it replaces; it may raise any `ShoalError`. What
    of a process that was killed is left its next view finds.
    """

    def __init__(self, clear: Callable[[Keys[Any], str, int], Awaitable[object]]) -> None:
        self._clear = clear
        self._markers: dict[str, tuple[Keys[Any], int]] = {}
        self._clearing: asyncio.Task[None] | None = None
        self._written = 0.0
        self._tasks = TaskGroup("leftovers")

    def __contains__(self, key: str) -> bool:
        return key in self._markers

    @property
    def full(self) -> bool:
        return len(self._markers) >= MOST_LEFT

    def marker(self, key: str) -> int:
        """The revision of the marker of a removed key; 0 where nothing is left of one."""
        return self._markers[key][1] if key in self._markers else 0

    def written(self) -> None:
        """Somebody waits for a write: it goes before what is left."""
        self._written = asyncio.get_running_loop().time()

    def add(self, keys: Keys[Any], key: str, marker: int) -> None:
        self._markers[key] = (keys, marker)
        if self._clearing is None or self._clearing.done():
            self._clearing = self._tasks.start(self._clear_all(), "clear")

    async def _clear_all(self) -> None:
        """One after the other, while nobody writes."""
        loop = asyncio.get_running_loop()
        while self._markers:
            while (wait := self._written + QUIET - loop.time()) > 0:  # noqa: ASYNC110 - until nobody has written
                await asyncio.sleep(wait)
            key, (keys, marker) = next(iter(self._markers.items()))
            with suppress(ShoalError):  # written anew; or the broker is away: the next instance finds it
                await self._clear(keys, key, marker)
            if self._markers[key] == (keys, marker):
                del self._markers[key]

    async def close(self) -> None:
        await self._tasks.close()
