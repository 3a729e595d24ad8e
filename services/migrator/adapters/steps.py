"""The steps of a migration, each a few calls to the services of both hosts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from shared.bus import Bus
from shared.clock import now_ns
from shared.contracts import image_store, migration_driver, moving, network, platform, volume
from shared.contracts.base import Empty, Endpoint
from shared.contracts.common import Ref
from shared.contracts.migrator import MIGRATIONS, MigrationRecord
from shared.contracts.scheduler import NODES
from shared.contracts.trees import SyncOutRequest, SyncReply
from shared.contracts.volume import VolumeSpec
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound, ShoalError, Unavailable
from shared.state import State

from ..domain.machine import Done, Event, Failed, Step
from ..domain.refusals import is_refusal

log = logging.getLogger(__name__)

ROUNDS = 4
"""Passes over files, or memory, at most, while the container runs."""
DISCARD_SECONDS = 60.0
SMALL = 1 << 20
"""A pass that sent less than this is the last one while it runs."""


@dataclass
class Trees:
    """What of a container's files moves: its layer, its log, and these volumes."""

    container: str
    volumes: tuple[VolumeSpec, ...] = ()
    log: bool = True

    def all(self) -> list[tuple[Endpoint[SyncOutRequest, SyncReply], str]]:
        """Who sends what."""
        return [
            (image_store.SYNC_OUT, self.container),
            *((volume.SYNC_OUT, each.name) for each in self.volumes),
            *([(platform.SYNC_OUT, self.container)] if self.log else []),
        ]


@dataclass
class Counted:
    """What a migration sent so far."""

    file_bytes: int = 0
    memory_bytes: int = 0


class Steps:
    """One migration. `do` never raises a `ShoalError`: it tells how the step ended."""

    def __init__(
        self, bus: Bus, state: State, record: MigrationRecord, trees: Trees | None = None, kill_execs: bool = False
    ) -> None:
        self._bus, self._state, self._kill_execs = bus, state, kill_execs
        self.record = record
        self.counted = Counted()
        self._trees = trees or Trees(record.id)
        self._ref = moving.MoveRef(id=record.id, migration=record.migration)
        self._id = Ref(id=record.id)
        self._from = migration_driver.place(record.source, record.driver)
        self._to = migration_driver.place(record.target, record.driver)
        self._revision = 0
        self._phase = ""
        self._peer: moving.Peer | None = None
        self._restoring: asyncio.Task[ShoalError | None] | None = None
        self.still_from = self.still_until = 0.0
        """When it was stopped and when it went on, of the monotonic clock here; 0: not seen."""

    async def do(self, step: Step) -> Event:
        """Does a step; whether a refusal is certain the kind of the error tells."""
        method: Callable[[], Awaitable[None]] = getattr(self, f"_{step}")
        try:
            await method()
        except ShoalError as error:
            return Failed(step, error.message, sure=is_refusal(error))
        return Done(step, phase=self._phase)

    async def _claim(self) -> None:
        try:
            self._revision = await self._state.create(MIGRATIONS, self.record.id, value=self.record)
        except AlreadyExists:
            raise Conflict(f"container {self.record.name} is being migrated already") from None

    async def _depart(self) -> None:
        held = await self._bus.call(moving.DEPART, self._leaving(), node=self.record.source)
        self.record = msgspec.structs.replace(self.record, held=held)

    def _leaving(self) -> moving.DepartRequest:
        record = self.record
        return moving.DepartRequest(id=record.id, migration=record.migration, node=record.target, driver=record.driver)

    async def _fetch(self) -> None:
        """The image is at the target, under the name that the container has it by, unless that means another one
        there.
        """
        spec = self._held().spec
        if spec.image_manifest is None:
            raise FailedPrecondition(f"image {spec.image_id} has no manifest by which another host could ask for it")
        asked = image_store.ResolveRequest(reference=spec.config.image, platform=spec.platform)
        names: tuple[str, ...] = ()
        try:
            await self._bus.call(image_store.RESOLVE, asked, node=self.record.target)
        except NotFound:
            here = await self._bus.call(image_store.RESOLVE, asked, node=self.record.source)
            names = here.repo_tags[:1] if here.id == spec.image_id else ()
        except ShoalError as error:
            log.info("image %s: %s", spec.config.image, error)
        request = image_store.FetchRequest(manifest=spec.image_manifest, nodes=(self.record.source,), names=names)
        await self._bus.call(image_store.FETCH, request, node=self.record.target)

    def _held(self) -> moving.Held:
        if self.record.held is None:
            raise FailedPrecondition("the container was not held")
        return self.record.held

    async def _receive(self) -> None:
        request = moving.ReceiveRequest(
            id=self.record.id,
            migration=self.record.migration,
            spec=self._held().spec,
            volumes=self._trees.volumes,
            strategy="" if self.record.strategy == "cold" else self.record.strategy,
            driver=self.record.driver,
            started_at=self._held().status.started_at,
        )
        self._peer = (await self._bus.call(moving.RECEIVE, request, node=self.record.target)).peer

    async def _copy(self) -> None:
        """Pass after pass while it runs, as long as each sends clearly less than the one before."""
        sent = await self._pass(first=True)
        for _ in range(ROUNDS - 1):
            if sent < SMALL:
                return
            before, sent = sent, await self._pass()
            if sent > before // 2:
                return

    async def _pass(self, first: bool = False, last: bool = False) -> int:
        calls = (
            self._bus.call(
                endpoint,
                SyncOutRequest(key=key, node=self.record.target, first=first, last=last),
                node=self.record.source,
            )
            for endpoint, key in self._trees.all()
        )
        replies = await asyncio.gather(*calls, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        sent = sum(reply.bytes for reply in replies if not isinstance(reply, BaseException))
        self.counted.file_bytes += sent
        return sent

    async def _precopy(self) -> None:
        """Memory while it runs: once, and for a copy as long as a pass sends clearly less than the one before."""
        if self._peer is None:
            raise FailedPrecondition("the target does not wait for any processes")
        strategy: migration_driver.Strategy = "copy" if self.record.strategy == "copy" else "post-copy"
        request = migration_driver.PrecopyRequest(id=self.record.id, peer=self._peer, strategy=strategy)
        before = 0
        for _ in range(ROUNDS):
            done = await self._bus.call(migration_driver.PRECOPY, request, node=self._from)
            self.counted.memory_bytes = done.bytes
            if strategy == "post-copy" or done.changed_bytes < SMALL or 0 < before < 2 * done.changed_bytes:
                return
            before = done.changed_bytes

    async def _freeze(self) -> None:
        begun = time.monotonic()
        frozen = await self._bus.call(migration_driver.FREEZE, self._id, node=self._from)
        self.still_from = max(begun, time.monotonic() - max(0, now_ns() - frozen.frozen_at) / 1e9)

    async def _detach(self) -> None:
        """Not while it is being frozen: what it says in between nobody acknowledges, and a connection that is restored
        with such words waits a second before it says them again.
        """
        with suppress(NotFound):  # it has no network of its own
            request = network.StackRequest(container_id=self.record.id)
            await self._bus.call(network.DETACH, request, node=self.record.source)

    async def _settle(self) -> None:
        settled = await self._bus.call(migration_driver.SETTLE, self._id, node=self._to)
        self.counted.memory_bytes = max(self.counted.memory_bytes, settled.bytes)

    async def _attach(self) -> None:
        await attach(self._bus, self.record.id, self.record.source)

    async def _thaw(self) -> None:
        await self._bus.call(migration_driver.THAW, self._id, node=self._from)

    async def _hold(self) -> None:
        stop = self.record.strategy == "cold"
        request = moving.HoldRequest(
            id=self.record.id, migration=self.record.migration, stop=stop, kill_execs=self._kill_execs
        )
        held = await self._bus.call(moving.HOLD, request, node=self.record.source)
        self.record = msgspec.structs.replace(self.record, held=held)

    async def _capture(self) -> None:
        """Files and processes at once: what is told of either is true only when nothing is being done any more.

        The target restores what was dumped, and holds it; from here on that needs the source no more, and is not waited
        for. Frames would reach it there, and it answers none.
        """
        if self.record.strategy == "cold":
            await self._pass(last=True)
            return
        begin = asyncio.get_running_loop().create_task
        files = begin(self._pass(last=True))
        restoring = self._restoring = begin(self._restored(files))
        opening = begin(self._opened(files))
        try:
            processes = await self._bus.call(migration_driver.DUMP, self._id, node=self._from)
            await files
            await opening
            if restoring.done() and (failed := restoring.result()) is not None:
                raise failed
        except BaseException as failed:
            restoring.cancel()  # nothing comes that it could wait for
            if not isinstance(failed, ShoalError):
                files.cancel()
                opening.cancel()
            await asyncio.gather(files, restoring, opening, return_exceptions=True)
            raise
        self.counted.memory_bytes = processes.bytes
        held = msgspec.structs.replace(self._held(), log_bytes=processes.log_bytes)
        self.record = msgspec.structs.replace(self.record, held=held)

    async def _restored(self, files: asyncio.Task[int]) -> ShoalError | None:
        """The target is asked as soon as the files are there: it makes ready what it can, and waits for the dump.

        Why it could not; None: it could.
        """
        try:
            await asyncio.wait((files,))
            files.result()
            await self._bus.call(migration_driver.RESTORE, self._id, node=self._to)
        except ShoalError as error:
            return error
        return None

    async def _opened(self, files: asyncio.Task[int]) -> None:
        """Not before the files, which the target waits for."""
        await asyncio.wait((files,))
        await attach(self._bus, self.record.id, self.record.target, soon=True)

    async def _switch(self) -> None:
        """The decision."""
        switched = msgspec.structs.replace(self.record, phase="switched")
        self._revision = await self._state.update(MIGRATIONS, self.record.id, value=switched, revision=self._revision)
        self.record = switched

    async def _take_over(self) -> None:
        try:
            self.still_until = await take_over(self._bus, self.record)
        except NotFound:
            if self._restoring is not None and (failed := await self._restoring) is not None:
                raise NotFound(failed.message) from None
            raise
        except Unavailable:
            if await self._state.get(NODES, self.record.target) is not None:
                raise
            if not await self._departed():
                raise NotFound(f"{self.record.target_name} was removed from the cluster") from None

    async def _departed(self) -> bool:
        """Whether it was taken over, and is given up at the source: that goes without the target."""
        moves = (await self._bus.call(moving.MOVES, Empty(), node=self.record.source)).moves
        mine = [each for each in moves if (each.id, each.migration) == (self.record.id, self.record.migration)]
        return not any(each.role == "leaving" for each in mine)

    async def _leave(self) -> None:
        await self._bus.call(moving.LEAVE, self._leaving(), node=self.record.source)

    async def _give_up(self) -> None:
        if self.record.strategy != "cold":
            await self._bus.call(migration_driver.DISCARD, self._id, node=self._from, timeout=DISCARD_SECONDS)
        await self._bus.call(moving.GIVE_UP, self._ref, node=self.record.source)

    async def _forget(self) -> None:
        """Its own record only: where the answer was lost, the container may be moving on by now."""
        entry = await self._state.get(MIGRATIONS, self.record.id)
        if entry is not None and entry.value.migration == self.record.migration:
            await self._state.delete(MIGRATIONS, self.record.id, revision=entry.revision)

    async def _revoke(self) -> None:
        """After this no switch that is still under way can be written."""
        entry = await self._state.get(MIGRATIONS, self.record.id)
        if entry is None or entry.value.migration != self.record.migration or entry.value.phase != "preparing":
            raise Conflict("the record says something else by now")
        aborting = msgspec.structs.replace(entry.value, phase="aborting")
        await self._state.update(MIGRATIONS, self.record.id, value=aborting, revision=entry.revision)

    async def _look(self) -> None:
        entry = await self._state.get(MIGRATIONS, self.record.id)
        mine = entry is not None and entry.value.migration == self.record.migration
        self._phase = entry.value.phase if entry is not None and mine else ""
        if entry is not None and self._phase == "switched":
            self.record = entry.value

    async def _stay(self) -> None:
        await self._bus.call(moving.STAY, self._ref, node=self.record.source)

    async def _abandon(self) -> None:
        await self._bus.call(moving.ABANDON, self._ref, node=self.record.target)


async def attach(bus: Bus, container_id: str, node: str, soon: bool = False) -> None:
    """Frames reach it there, as before; `soon`: where it stands by."""
    with suppress(NotFound):  # it has no network of its own, or does not run
        await bus.call(network.ATTACH, network.StackRequest(container_id=container_id, soon=soon), node=node)


async def take_over(bus: Bus, record: MigrationRecord) -> float:
    """The container is the target's, and its processes go on there; when they did, of the monotonic clock.

    Both hosts' migrators may do this, again and again, once the record is switched. `NotFound`: the target holds
    nothing, and nothing can go on there; whatever else fails may be done again.
    """
    if record.held is None:
        raise Unavailable("the record does not say what is to be taken over")
    request = moving.TakeOverRequest(
        id=record.id,
        migration=record.migration,
        held=record.held,
        source=record.source,
        source_name=record.source_name,
        driver=record.driver,
    )
    try:
        there = await bus.call(moving.TAKE_OVER, request, node=record.target)
        went_on = time.monotonic() - there.ago_ns / 1e9
    except NotFound:
        raise
    except ShoalError as error:
        raise Unavailable(error.message) from None
    taken = moving.TakenRequest(id=record.id, migration=record.migration, pid=there.pid, log_path=there.log_path)
    try:
        await bus.call(moving.TAKEN, taken, node=record.target)
    except ShoalError as error:  # it is the target's, whatever else: no refusal
        raise Unavailable(error.message) from None
    return went_on
