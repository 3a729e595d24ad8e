"""The records of movable containers at the hubs, and this host's lease as far as they need it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

import msgspec

from shared import tenure
from shared.contracts.container import ContainerSpec
from shared.contracts.movable import MOVABLE, MovableRecord
from shared.errors import AlreadyExists, Conflict, DeadlineExceeded, NotFound, ShoalError, Unavailable
from shared.state import State
from shared.state.view import Entry
from shared.tasks import TaskGroup
from shared.tenure import Desk

from ..domain.movable import control_group
from .patience import patiently

log = logging.getLogger(__name__)

CUT_OFF = "this host is cut off from its cluster: whether another runs this container by now nobody knows"

READS, PAUSE = 20, 0.1
"""How often, with which pause in seconds, a hub that is behind is asked again; the pause after a lost race, too."""


class Movables:
    """What this host has. Every claim is a write: a replica that is behind may still answer reads."""

    def __init__(self, state: State, node: str, desk: Desk, parent: str, tasks: TaskGroup) -> None:
        self._state, self._node, self._desk, self._parent, self._tasks = state, node, desk, parent, tasks
        self._entries: dict[str, Entry[MovableRecord]] = {}
        self._claimed: dict[str, int] = {}  # in which tenure each was claimed last
        self._untold: dict[str, tuple[ContainerSpec, bool]] = {}
        self._telling: dict[str, asyncio.Task[None]] = {}

    def may_run(self, id: str) -> bool:
        """Whether it was claimed in the present tenure of this host."""
        held = self._desk.held(tenure.now())
        return held != 0 and self._claimed.get(id) == held

    async def admit(self, spec: ContainerSpec) -> None:
        """It may run here when this returns, and ends with the lease. `Unavailable`: none is held; `Conflict`: another
        host has it.
        """
        held = self._desk.held(tenure.now())
        if not held:
            raise Unavailable(CUT_OFF)
        self._desk.mark(spec.id, control_group(spec, self._parent))
        entry = self._entries.get(spec.id)
        if self._claimed.get(spec.id) != held or entry is None or not entry.value.wanted:
            try:
                await self._write(spec, wanted=True)
            except (Unavailable, DeadlineExceeded):
                raise Unavailable(CUT_OFF) from None
            self._claimed[spec.id] = held
        if not self.may_run(spec.id):
            raise Unavailable(CUT_OFF)

    async def begin(self, spec: ContainerSpec) -> None:
        """A container is about to be made here."""
        value = MovableRecord(node=self._node, spec=spec)
        self._keep(spec.id, await self._state.create(MOVABLE, spec.id, value=value), value)

    async def take(self, id: str, revision: int) -> MovableRecord:
        """Makes it this host's. `Conflict`: its record is not any more as it was at that revision."""
        record = await self._at(id, revision)
        spec = msgspec.structs.replace(record.spec, generation=record.spec.generation + 1)
        left = tuple(sorted({*record.left, *filter(None, (record.node,))} - {self._node}))
        value = MovableRecord(node=self._node, spec=spec, wanted=True, left=left)
        self._keep(id, await self._state.update(MOVABLE, id, value=value, revision=revision), value)
        return value

    async def _at(self, id: str, revision: int) -> MovableRecord:
        for _ in range(READS):
            entry = await self._state.get(MOVABLE, id)
            if entry is None:
                raise NotFound(f"No such container: {id}")
            if entry.revision > revision or entry.value.removed:
                raise Conflict(f"container {id} was changed by somebody else")
            if entry.revision == revision:
                return entry.value
            await asyncio.sleep(PAUSE)
        raise Unavailable(f"the hubs do not know yet that container {id} has changed")

    async def give_back(self, id: str) -> None:
        """It is nobody's, and wanted: this host could not run it."""
        self._desk.unmark(id)
        entry = self._entries.pop(id, None)
        self._claimed.pop(id, None)
        if entry is not None:
            value = msgspec.structs.replace(entry.value, node="")
            try:
                await patiently(lambda: self._state.update(MOVABLE, id, value=value, revision=entry.revision))
            except Conflict as error:
                log.warning("container %s is not given back: %s", id, error)

    def tell(self, spec: ContainerSpec, wanted: bool) -> None:
        """The hubs learn how it is now, as soon as they can be asked."""
        known = self._entries.get(spec.id)
        is_known = known is not None and (known.value.spec, known.value.wanted) == (spec, wanted)
        if is_known and spec.id not in self._untold:
            return
        self._untold[spec.id] = (spec, wanted)
        if spec.id not in self._telling:
            telling = self._telling[spec.id] = self._tasks.start(self._tell(spec.id), "tell")
            telling.add_done_callback(lambda _: self._telling.pop(spec.id, None))

    async def told(self, id: str, seconds: float) -> None:
        """Returns when the hubs know all that was told of it, or after so long."""
        if id in self._telling:
            await asyncio.wait((self._telling[id],), timeout=seconds)

    async def _tell(self, id: str) -> None:
        while id in self._untold:
            spec, wanted = self._untold[id]
            try:
                await patiently(partial(self._write, spec, wanted))
            except ShoalError as error:
                log.warning("movable container %s: %s", id, error)
            if self._untold.get(id) == (spec, wanted):
                del self._untold[id]

    async def _write(self, spec: ContainerSpec, wanted: bool) -> None:
        """As this host has it; made anew where there is none. `Conflict`: it is not this host's any more."""
        while True:
            entry = self._entries.get(spec.id) or await self._state.get(MOVABLE, spec.id)
            if entry is not None and (entry.value.node != self._node or entry.value.removed):
                self._entries.pop(spec.id, None)
                raise Conflict(f"container {spec.id} is on another host by now")
            left = entry.value.left if entry is not None else ()
            value = MovableRecord(node=self._node, spec=spec, wanted=wanted, left=left)
            try:
                if entry is None:
                    revision = await self._state.create(MOVABLE, spec.id, value=value)
                else:
                    revision = await self._state.update(MOVABLE, spec.id, value=value, revision=entry.revision)
            except (Conflict, AlreadyExists):
                self._entries.pop(spec.id, None)
                await asyncio.sleep(PAUSE)
                continue
            return self._keep(spec.id, revision, value)

    def _keep(self, id: str, revision: int, value: MovableRecord) -> None:
        self._entries[id] = Entry(MOVABLE.key(id), value, revision)

    async def forget(self, id: str) -> None:
        """The container is removed: at once, or when the hubs can be asked again."""
        self._untold.pop(id, None)
        self._desk.unmark(id)
        try:
            await self._forget(id)
        except ShoalError as error:
            log.info("that container %s was removed is told later: %s", id, error)
            self._tasks.start(patiently(partial(self._forget, id)), "forget")

    async def bind(self, id: str) -> None:
        """It stays on this host from now on. Raises `Unavailable` where the hubs cannot be asked whether it is here."""
        while True:
            entry = await self._state.get(MOVABLE, id)
            if entry is not None and (entry.value.node != self._node or entry.value.removed):
                raise Conflict(f"container {id} is on another host by now")
            try:
                if entry is not None:
                    await self._end(id, entry, entry.value.left)
            except Conflict:
                await asyncio.sleep(PAUSE)
                continue
            break
        self._desk.unmark(id)
        self._entries.pop(id, None)
        self._claimed.pop(id, None)
        self._untold.pop(id, None)

    async def _forget(self, id: str) -> None:
        while True:
            entry = await self._state.get(MOVABLE, id)
            if entry is None or entry.value.node != self._node:
                break
            try:
                await self._end(id, entry, entry.value.left)
            except Conflict:
                await asyncio.sleep(PAUSE)
                continue
            break
        self._entries.pop(id, None)
        self._claimed.pop(id, None)

    async def leave(self, id: str) -> None:
        """Nothing of it is on this host any more, which another host has or had after it."""
        self._desk.unmark(id)
        self._entries.pop(id, None)
        self._claimed.pop(id, None)
        self._untold.pop(id, None)
        while True:
            entry = await self._state.get(MOVABLE, id)
            if entry is None or self._node not in entry.value.left:
                return
            left = tuple(node for node in entry.value.left if node != self._node)
            try:
                if entry.value.removed:
                    await self._end(id, entry, left)
                else:
                    value = msgspec.structs.replace(entry.value, left=left)
                    await self._state.update(MOVABLE, id, value=value, revision=entry.revision)
            except Conflict:
                await asyncio.sleep(PAUSE)
                continue
            return

    async def _end(self, id: str, entry: Entry[MovableRecord], left: tuple[str, ...]) -> None:
        """Hosts that have remains of a removed container have to learn of it first."""
        if left:
            value = msgspec.structs.replace(entry.value, removed=True, wanted=False, left=left)
            await self._state.update(MOVABLE, id, value=value, revision=entry.revision)
        else:
            await self._state.delete(MOVABLE, id, revision=entry.revision)

    async def records(self) -> Mapping[str, MovableRecord]:
        """All there are, as the hubs have them now. Raises `Unavailable`."""
        view = await self._state.view(MOVABLE)
        view.stop()
        found = {parts[0]: entry for parts, entry in view.items(MOVABLE)}
        for id, entry in found.items():
            if entry.value.node == self._node:
                self._entries.setdefault(id, entry)
        return {id: entry.value for id, entry in found.items()}

    def marked(self) -> tuple[str, ...]:
        return tuple(id for id, _ in self._desk.marked())

    def unmark(self, id: str) -> None:
        self._desk.unmark(id)
