"""What this host has of unfinished migrations, and who should see to it: after a crash of anybody, from the records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shared.contracts import migration_driver, moving
from shared.contracts.base import Empty, Keys
from shared.contracts.common import Ref
from shared.contracts.migrator import MIGRATIONS, MigrationRecord
from shared.errors import NotFound, ShoalError
from shared.service import Kernel
from shared.state.view import Entry, View

from ..domain import duties
from .steps import DISCARD_SECONDS, attach, take_over

log = logging.getLogger(__name__)

GRACE = 2.0
"""Seconds that a target leaves to the coordinator, which does the same, faster."""
PAUSE = 5.0


class Upkeep:
    """`resume` takes up a migration from this host; `busy` tells whether that is being done."""

    def __init__(self, kernel: Kernel, resume: Callable[[MigrationRecord], None], busy: Callable[[str], bool]) -> None:
        self._kernel, self._resume, self._busy = kernel, resume, busy
        self._records: View | None = None
        self._wanted = asyncio.Event()

    def open(self, records: View) -> None:
        """Looks now, and after each change of the records."""
        self._records = records
        records.on_change(self._changed)
        records.on_live(self._wanted.set)
        self._wanted.set()
        self._kernel.tasks.start(self._keep(), "upkeep")

    def _changed(self, keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
        record = entry.value if entry is not None else None
        if record is None or (record.target == self._kernel.node and record.phase != "preparing"):
            self._wanted.set()

    async def _keep(self) -> None:
        """The first look at once: what a process before this one left waits for it."""
        grace = 0.0
        while True:
            await self._wanted.wait()
            await asyncio.sleep(grace)
            self._wanted.clear()
            grace = GRACE
            try:
                await self._look()
            except ShoalError as error:
                log.info("what migrations left here is looked at again later: %s", error)
                asyncio.get_running_loop().call_later(PAUSE, self._wanted.set)

    async def _look(self) -> None:
        moves = (await self._kernel.bus.call(moving.MOVES, Empty())).moves
        assert self._records is not None
        if not self._records.live:
            return
        known = {entry.value.id: entry.value for _, entry in self._records.items(MIGRATIONS)}
        for move in moves:  # the view may be a moment behind
            if move.id not in known and (entry := await self._kernel.state.get(MIGRATIONS, move.id)) is not None:
                known[move.id] = entry.value
        failed: ShoalError | None = None
        for duty in duties.duties(self._kernel.node, known, moves):
            try:
                await self._do(duty)
            except ShoalError as error:  # the others do not wait for this one
                failed = error
        if failed is not None:
            raise failed

    async def _do(self, duty: duties.Duty) -> None:
        match duty:
            case duties.Resume() if not self._busy(duty.record.id):
                self._resume(duty.record)
            case duties.TakeOver():
                with suppress(NotFound):  # it was given up here, or is gone already
                    await take_over(self._kernel.bus, duty.record)
            case duties.Abandon():
                await self._kernel.bus.call(moving.ABANDON, duty.ref)
            case duties.Stay() if not self._busy(duty.ref.id):
                await attach(self._kernel.bus, duty.ref.id, self._kernel.node)
                await self._kernel.bus.call(migration_driver.THAW, Ref(id=duty.ref.id), self._driver(duty.driver))
                await self._kernel.bus.call(moving.STAY, duty.ref)
            case duties.GiveUp() if not self._busy(duty.ref.id):
                await self._kernel.bus.call(
                    migration_driver.DISCARD, Ref(id=duty.ref.id), self._driver(duty.driver), timeout=DISCARD_SECONDS
                )
                await self._kernel.bus.call(moving.GIVE_UP, duty.ref)

    def _driver(self, name: str) -> str:
        return migration_driver.place(self._kernel.node, name)
