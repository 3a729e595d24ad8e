"""This host's lease at the hubs; see `shared.tenure`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from shared import tenure
from shared.contracts.scheduler import HOST_LEASES, HostLease
from shared.errors import AlreadyExists, Conflict, ShoalError
from shared.state import State
from shared.tasks import TaskGroup
from shared.tenure import GUARD, RENEW, SECOND, Desk, Tenure

log = logging.getLogger(__name__)

ATTEMPT = 2.0
"""Seconds for one renewal."""
PAUSE = 0.3
SETTLE_PAUSE = 2.0


class HostLeaseKeeper:
    """Renews the lease while this process lives. `settle` is called when a tenure begins, until it is done."""

    def __init__(self, state: State, node: str, desk: Desk, settle: Callable[[], Awaitable[object]]) -> None:
        self._state, self._node, self._desk, self._settle = state, node, desk, settle
        self._revision = 0
        self._tasks = TaskGroup("lease")

    def open(self) -> None:
        self._tasks.start(self._keep(), "keep")
        self._tasks.start(self._settled(), "settle")

    async def close(self) -> None:
        """The lease goes on for a while: the next scheduler of this host takes it up."""
        await self._tasks.close()

    async def _keep(self) -> None:
        while True:
            begun = tenure.now()
            try:
                async with asyncio.timeout(ATTEMPT):
                    await self._renew(begun)
            except (ShoalError, OSError) as error:  # a timeout is one, too, and a disk that is full may not stay so
                log.warning("lease of this host not renewed: %s", error or "no answer in time")
                self._revision = 0
                await asyncio.sleep(PAUSE)
            else:
                await asyncio.sleep(max(0.0, RENEW - (tenure.now() - begun) / SECOND))

    async def _renew(self, begun: int) -> None:
        value = HostLease(node=self._node)
        fresh = False
        if not self._revision:
            entry = await self._state.get(HOST_LEASES, self._node)
            fresh = entry is None or entry.value.lost_by != ""
            self._revision = entry.revision if entry is not None else 0
        try:
            if self._revision:
                revision = await self._state.update(HOST_LEASES, self._node, value=value, revision=self._revision)
            else:
                revision = await self._state.create(HOST_LEASES, self._node, value=value)
        except (Conflict, AlreadyExists):
            self._revision = 0  # who wrote it, this host or who found it silent, is seen by the next attempt
            raise
        self._revision = revision
        self._hold(begun, fresh)

    def _hold(self, begun: int, fresh: bool) -> None:
        now, last = tenure.now(), self._desk.tenure()
        deadline = begun + int(GUARD * SECOND)
        if deadline <= now:
            return
        if last is None or fresh or last.deadline <= now:
            log.info("this host holds its lease")
            self._desk.write(Tenure(number=self._revision, deadline=deadline))
            self._tasks.start(self._settled(), "settle")
        else:
            self._desk.write(Tenure(number=last.number, deadline=deadline))

    async def _settled(self) -> None:
        while True:
            try:
                await self._settle()
            except ShoalError as error:
                log.warning("movable containers are not settled yet: %s", error)
                await asyncio.sleep(SETTLE_PAUSE)
            else:
                return
