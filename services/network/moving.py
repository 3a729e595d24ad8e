"""Containers that move to another host: their stack there is made beside the one here, and takes its place at once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import msgspec

from shared.errors import FailedPrecondition

from .catalog import Catalog
from .domain import sandboxes
from .domain.publishing import Forward
from .domain.sandboxes import SandboxRecord
from .sandboxes import Host, Sandboxes

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

    async def attach(self, record: SandboxRecord) -> SandboxRecord:
        """Frames pass again. One in standby becomes the container's own: port, other hosts, published ports, names."""
        specs = self.sandboxes.specs(record)
        live = msgspec.structs.replace(record, standby=False)
        plans = sandboxes.plans(live, specs, self.catalog.prefix)
        try:
            await asyncio.to_thread(self.host.stacks.attach, record.id, plans)
        except OSError as error:
            raise FailedPrecondition(f"the container's stack cannot be attached: {error.strerror}") from error
        if not record.standby:
            return record
        across = [entry for entry in live.attachments if specs[entry.network_id].vni]
        spanning = self.catalog.spanning
        if spanning is not None:
            told = (sandboxes.endpoint_record(live, entry, self.node) for entry in across)
            await asyncio.gather(*map(spanning.claims.move, told))
            await asyncio.gather(*(spanning.tell(entry.network_id) for entry in across))
        leading = sandboxes.forwards(live, specs)
        await asyncio.to_thread(self._become, live, leading)
        self.host.ports.serve(leading)
        self.sandboxes.put(live)
        await self.host.proxy.settled()
        return live

    def _become(self, live: SandboxRecord, leading: list[Forward]) -> None:
        """Runs in a thread."""
        self.host.firewall.publish(leading)
        self.host.records.write(live)
