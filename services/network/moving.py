"""Containers that move to another host: their stack there is made beside the one here, and takes its place at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from shared.contracts.network import EndpointRecord, NetworkSpec
from shared.errors import FailedPrecondition

from .catalog import Catalog
from .domain import sandboxes
from .domain.publishing import Forward
from .domain.sandboxes import SandboxRecord
from .sandboxes import Host, Sandboxes

if TYPE_CHECKING:
    from .spanning import Spanning

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moving:
    """Changes of one container come one after another: the caller sees to that."""

    catalog: Catalog
    host: Host
    sandboxes: Sandboxes
    node: str

    async def detach(self, record: SandboxRecord) -> None:
        """No frame passes any more. Nothing is written down: what is attached is what the kernel has."""
        await asyncio.to_thread(self.host.stacks.detach, record.id, record.wired)

    async def attach(self, record: SandboxRecord, soon: bool = False) -> SandboxRecord:
        """Frames pass again. One in standby becomes the container's own: the port, and with it what other hosts
        know; then published ports and names. `soon`: only frames pass; other hosts send theirs here as soon as they see
        that the move is decided.
        """
        specs = self.sandboxes.specs(record)
        live = msgspec.structs.replace(record, standby=False)
        if soon:
            await self._put_on(live, specs)
            return record
        moves = self._moves(live, specs) if record.standby else []
        done = await asyncio.gather(self._put_on(live, specs), *moves, return_exceptions=True)
        for failure in done:
            if isinstance(failure, BaseException):
                raise failure
        if not record.standby:
            return record
        leading = sandboxes.forwards(live, specs)
        await asyncio.to_thread(self._become, live, leading)
        self.host.ports.serve(leading)
        self.sandboxes.put(live)
        await self.host.proxy.settled()
        return live

    async def _put_on(self, live: SandboxRecord, specs: Mapping[str, NetworkSpec]) -> None:
        plans = sandboxes.plans(live, specs, self.catalog.prefix)
        try:
            await asyncio.to_thread(self.host.stacks.attach, live.id, plans)
        except OSError as error:
            raise FailedPrecondition(f"the container's stack cannot be attached: {error.strerror}") from error

    def _moves(self, live: SandboxRecord, specs: Mapping[str, NetworkSpec]) -> list[Coroutine[Any, Any, None]]:
        spanning = self.catalog.spanning
        if spanning is None:
            return []
        across = [entry for entry in live.attachments if specs[entry.network_id].vni]
        return [self._move(spanning, sandboxes.endpoint_record(live, entry, self.node)) for entry in across]

    async def _move(self, spanning: Spanning, told: EndpointRecord) -> None:
        """All hosts, this one too, know where the endpoint is."""
        await spanning.claims.move(told)
        await spanning.tell(told.network_id)

    def _become(self, live: SandboxRecord, leading: list[Forward]) -> None:
        """Runs in a thread."""
        self.host.firewall.publish(leading)
        self.host.records.write(live)
