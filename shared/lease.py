"""Leases: the right to be the only one, for as long as it is renewed; and who of the hosts is there.

A lease is a record in a bucket whose records vanish after `LEASE_SECONDS`. Its revision is a fencing token: what
the holder does elsewhere can carry it, and be refused when a later one was seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shared.contracts.base import LEASES, Keys, Message
from shared.errors import AlreadyExists, Conflict, ShoalError
from shared.state.store import State
from shared.state.streams import LEASE_SECONDS
from shared.state.view import Entry
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

RENEW_SECONDS = LEASE_SECONDS / 3
SAFE_SECONDS = LEASE_SECONDS * 0.8
"""Who could not renew for so long must take it for lost: for others it ends a little later, never earlier."""


class Holder(Message, frozen=True):
    """Who holds a lease. The same `name` may take it over from itself, as after a restart."""

    name: str
    node: str = ""


LEASE = Keys("leases.*", Holder, bucket=LEASES)
"""Leases by purpose."""
PRESENCE = Keys("presence.*", Holder, bucket=LEASES)
"""One lease for each host that is there, by node id: a view of it shows the living ones."""


class Lease:
    """One lease that this process wants to hold. `on_lost` is called when it held it and no longer does."""

    def __init__(self, state: State, keys: Keys[Holder], key: str, holder: Holder, on_lost: Callable[[], None]) -> None:
        self._state, self._keys, self._key = state, keys, key
        self._holder, self._on_lost = holder, on_lost
        self._tasks = TaskGroup(f"lease {key}")
        self.revision = 0
        """Of the lease while it is held, else 0."""

    @property
    def is_held(self) -> bool:
        return self.revision > 0

    async def acquire(self) -> bool:
        """Takes the lease, and renews it from then on; False when another holds it."""
        begun = asyncio.get_running_loop().time()
        try:
            self.revision = await self._state.create(self._keys, self._key, value=self._holder)
        except AlreadyExists:
            if not await self._take_over():
                return False
        self._tasks.start(self._renew(begun), "renew")
        return True

    async def _take_over(self) -> bool:
        entry = await self._state.get(self._keys, self._key)
        if entry is None or entry.value.name != self._holder.name:
            return False
        try:
            self.revision = await self._update(entry.revision)
        except Conflict:
            return False
        return True

    async def wait(self) -> None:
        """Takes the lease as soon as nobody else holds it."""
        view = await self._state.view(self._keys)
        changed = asyncio.Event()

        def look(keys: Keys[Holder], parts: tuple[str, ...], entry: Entry[Holder] | None) -> None:
            if entry is None and parts == (self._key,):
                changed.set()

        view.on_change(look)
        try:
            while not await self.acquire():
                if view.get(self._keys, self._key) is not None:
                    await changed.wait()
                changed.clear()
        finally:
            view.stop()

    async def release(self) -> None:
        """Gives the lease back; who waits for it can have it at once."""
        await self._tasks.close()
        revision, self.revision = self.revision, 0
        if revision:
            try:
                await self._state.delete(self._keys, self._key, revision=revision)
            except ShoalError as error:
                log.info("lease %s ends by itself: %s", self._key, error)

    async def _update(self, revision: int) -> int:
        return await self._state.update(self._keys, self._key, value=self._holder, revision=revision)

    async def _renew(self, renewed: float) -> None:
        """`renewed`: time of the loop at which the last renewal began."""
        loop = asyncio.get_running_loop()
        while (left := renewed + SAFE_SECONDS - loop.time()) > 0:
            await asyncio.sleep(min(RENEW_SECONDS, left))
            begun = loop.time()
            try:
                async with asyncio.timeout_at(renewed + SAFE_SECONDS):
                    self.revision = await self._update(self.revision)
                renewed = begun
            except (Conflict, TimeoutError) as error:
                return self._lose(str(error) or "no answer in time")
            except ShoalError as error:
                log.warning("lease %s not renewed: %s", self._key, error)
        return self._lose("not renewed in time")

    def _lose(self, why: str) -> None:
        log.error("lease %s lost: %s", self._key, why)
        self.revision = 0
        self._on_lost()


class Presence:
    """Keeps telling that this host is there."""

    def __init__(self, state: State, node: str) -> None:
        self._tasks = TaskGroup("presence")
        self._lease = Lease(state, PRESENCE, node, Holder(name=node, node=node), self._again)

    async def open(self) -> None:
        """Returns when others can see it."""
        await self._lease.wait()

    async def close(self) -> None:
        """Others see at once that it has left."""
        await self._tasks.close()
        await self._lease.release()

    def _again(self) -> None:
        self._tasks.start(self._return(), "return")

    async def _return(self) -> None:
        while True:
            try:
                return await self._lease.wait()
            except ShoalError as error:
                log.warning("presence: %s", error)
                await asyncio.sleep(RENEW_SECONDS)
