"""The migrator's endpoints."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from shared.clock import now_ns
from shared.contracts import scheduler
from shared.contracts.base import Empty
from shared.contracts.migrator import (
    MIGRATIONS,
    ListReply,
    MigrateReply,
    MigrateRequest,
    MigrationRecord,
    MigrationRef,
    Plan,
    Progress,
)
from shared.contracts.scheduler import NODES, NodeRecord
from shared.errors import Conflict, NotFound
from shared.ids import new_token
from shared.service import Kernel
from shared.state.view import View
from shared.streams import Channel

from .adapters import facts
from .adapters.facts import Inquiry
from .adapters.following import Following
from .adapters.steps import Steps, Trees
from .adapters.upkeep import Upkeep
from .domain import machine, plan
from .domain.plan import Facts

log = logging.getLogger(__name__)

WAIT = 2.0
"""Seconds that the start waits for the cluster."""


class MigratorService:
    """Coordinates the migrations of this host's containers; of those that come here it finishes what others left."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._under_way: dict[str, Following] = {}
        self._lines: dict[str, int] = {}
        """Bytes a second that the last move to a host sent, by node."""
        self._nodes: View | None = None
        self._records: View | None = None
        self._upkeep = Upkeep(kernel, self._resume, lambda id: id in self._under_way)

    async def open(self) -> None:
        """What is unfinished is taken up as soon as the cluster can be asked."""
        self._nodes = await self._kernel.state.view(NODES, wait=WAIT)
        self._records = await self._kernel.state.view(MIGRATIONS, wait=WAIT)
        self._upkeep.open(self._records)

    async def close(self) -> None:
        """What is under way is left to whoever comes next."""

    def at_rest(self) -> bool:
        """Whether nobody notices when another process takes over."""
        return not self._under_way

    async def plan(self, request: MigrateRequest) -> Plan:
        return (await self._planned(request, measure=True))[0]

    async def _planned(self, request: MigrateRequest, measure: bool) -> tuple[Plan, Facts]:
        """`measure`: how fast it writes memory, where that is not needed for the choice, too."""
        plan.check(request)
        inquiry = self._inquiry()
        target = await self._target(request, inquiry)
        found = await inquiry.facts(
            request.id,
            target,
            request.driver,
            measure=measure,
            line=self._lines.get(target.id, 0),
        )
        return plan.plan(request, found), found

    def _inquiry(self) -> Inquiry:
        assert self._nodes is not None
        facts.reachable(self._nodes)
        return Inquiry(self._kernel.bus, self._kernel.state, self._kernel.node, self._nodes)

    async def _target(self, request: MigrateRequest, inquiry: Inquiry) -> NodeRecord:
        if request.node:
            return inquiry.host(request.node)
        spec, _ = await inquiry.container(request.id)
        chosen = await self._kernel.bus.call(
            scheduler.CHOOSE, scheduler.ChooseRequest(spec=spec, without=(self._kernel.node,))
        )
        return inquiry.host(chosen.node)

    async def migrate(self, request: MigrateRequest) -> MigrateReply:
        """Begins; the claim is taken before the answer, so that the second of two is refused."""
        planned, found = await self._planned(request, measure=request.strategy == "auto" and request.accept_risk)
        facts.check(planned.reasons)
        record = MigrationRecord(
            id=request.id,
            migration=new_token(),
            name=found.spec.name,
            source=self._kernel.node,
            target=planned.node,
            source_name=found.source.name,
            target_name=planned.node_name,
            strategy=planned.strategy,
            driver=request.driver,
            begun=now_ns(),
        )
        if request.id in self._under_way:
            raise Conflict(f"container {record.name} is being migrated already")
        volumes = tuple(each for each in found.volumes.values() if plan.is_copied(each))
        trees = Trees(request.id, volumes, log=planned.strategy == "cold" or not found.log)
        steps = Steps(self._kernel.bus, self._kernel.state, record, trees, request.kill_execs)
        told: asyncio.Queue[Progress] = asyncio.Queue()
        self._begin(steps, machine.begin(record.strategy), told)
        offer = self._kernel.streams.offer(lambda channel: _report(channel, told), framed=False)
        return MigrateReply(migration=record.migration, plan=planned, offer=offer)

    def _begin(
        self, steps: Steps, begun: tuple[machine.State, machine.Do], told: asyncio.Queue[Progress] | None = None
    ) -> None:
        following = Following(steps, told.put_nowait if told is not None else lambda progress: None)
        self._under_way[steps.record.id] = following
        self._kernel.tasks.start(self._follow(steps.record.id, following, begun), "migration")

    async def _follow(self, id: str, following: Following, begun: tuple[machine.State, machine.Do]) -> None:
        try:
            await following.follow(begun)
            if following.line:
                self._lines[following.target] = following.line
        finally:
            self._under_way.pop(id, None)

    def _resume(self, record: MigrationRecord) -> None:
        """A migration from here that a process before this one began."""
        if record.id not in self._under_way:
            log.warning("migration of %s to %s goes on: %s", record.name, record.target_name, record.phase)
            steps = Steps(self._kernel.bus, self._kernel.state, record)
            self._begin(steps, machine.resume(record.strategy, record.phase))

    async def cancel(self, request: MigrationRef) -> Empty:
        following = self._under_way.get(request.id)
        if following is None:
            raise NotFound("this container is not being migrated")
        if following.switched:
            raise Conflict("it is too late: the container is the other host's")
        following.cancel("broken off at a client's wish")
        return Empty()

    async def list(self, request: Empty) -> ListReply:
        assert self._records is not None
        facts.reachable(self._records)
        return ListReply(migrations=tuple(entry.value for _, entry in self._records.items(MIGRATIONS)))


async def _report(channel: Channel, told: asyncio.Queue[Progress]) -> None:
    """Line by line, to the last."""
    while True:
        progress = await told.get()
        await channel.write(msgspec.json.encode(progress) + b"\n")
        if progress.result is not None or progress.error:
            return
