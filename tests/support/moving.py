"""Two simulated hosts with real executors and migrators, on one bus; the hubs are a store of their own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from services.migrator.service import MigratorService
from shared.bus import MemoryBroker
from shared.contracts import migrator
from shared.contracts.base import Empty
from shared.contracts.executor import SPECS
from shared.contracts.migrator import MIGRATIONS, MigrateReply, MigrateRequest, Progress
from shared.contracts.moving import MOVES
from shared.contracts.scheduler import NODES, NodeRecord
from shared.contracts.volume import SPECS as VOLUMES
from shared.service import Kernel
from shared.state import MemoryState
from tests.support.executor_node import Crash, Node


async def _build(kernel: Kernel) -> MigratorService:
    service = MigratorService(kernel)
    await service.open()
    return service


class Hosts:
    """`one` and `two`, each a `Node`."""

    def __init__(self, directory: Path) -> None:
        broker = MemoryBroker()
        self.hubs = MemoryState("hubs")
        self.one, self.two = (Node(directory / node, node, broker) for node in ("node1", "node2"))
        for node, other in ((self.one, self.two), (self.two, self.one)):
            node.clustered = True
            node.state.agreed = self.hubs
            node.state.hosts = {other.node: other.state, node.node: node.state}

    async def open(self) -> None:
        for node in (self.one, self.two):
            record = NodeRecord(
                id=node.node, name=node.node, role="hub", address="a:1", joined=1, memory=1 << 30, cpus=1
            )
            await self.hubs.create(NODES, node.node, value=record)
            await node.open()
            await node.boot()
            await self.begin(node)

    async def close(self) -> None:
        for node in (self.one, self.two):
            await node.close()

    async def begin(self, node: Node, crash: Crash | None = None) -> None:
        """Starts the migrator of a host (again)."""
        await node.start(migrator.CONTRACT, _build, crash.into if crash else lambda kernel: None)

    async def kill(self, node: Node) -> None:
        """Its migrator."""
        await node.vanish(migrator.CONTRACT)

    async def with_volume(self, *cmd: str, **more: Any) -> str:
        """A running container with a volume `data`, on the first host."""
        return await self.one.run(*cmd, binds=("data:/data",), **more)

    async def record_volumes(self) -> None:
        """Both hosts' volumes, as their services would."""
        for node in (self.one, self.two):
            view = await node.state.view(VOLUMES)
            view.stop()
            for parts, _ in view.items(VOLUMES):
                await node.state.delete(VOLUMES, *parts)
            for spec in node.volume.volumes.values():
                await node.state.create(VOLUMES, node.node, spec.name, value=spec)

    async def migrate(self, id: str, to: str = "node2", **more: Any) -> tuple[MigrateReply, list[Progress]]:
        """To the end; what was told."""
        await self.record_volumes()
        node = self.one if to == "node2" else self.two
        reply = await node.call(migrator.MIGRATE, MigrateRequest(id=id, node=to, **more))
        channel = await node.client.streams.take(reply.offer)
        text = b""
        while data := await channel.read():
            text += data
        channel.close()
        return reply, [msgspec.json.decode(line, type=Progress) for line in text.splitlines()]

    def running(self, id: str) -> list[str]:
        """Where its process runs."""
        return [
            node.node
            for node in (self.one, self.two)
            if id in node.platform.machines and node.platform.machines[id].state == "running"
        ]

    def owners(self, id: str) -> list[str]:
        """Whose records show it."""
        return [node.node for node in (self.one, self.two) if node.view.get(SPECS, id) is not None]

    async def unfinished(self) -> list[object]:
        """What of migrations is left anywhere."""
        records = await self.hubs.view(MIGRATIONS)
        records.stop()
        found: list[object] = [entry.value for _, entry in records.items(MIGRATIONS)]
        for node in (self.one, self.two):
            found += (await node.call(MOVES, Empty())).moves
        return [*found, *sorted(self.one.leftovers() | self.two.leftovers())]


@asynccontextmanager
async def hosts() -> AsyncIterator[Hosts]:
    with tempfile.TemporaryDirectory(prefix="shoal") as directory:
        made = Hosts(Path(directory))
        await made.open()
        try:
            yield made
        finally:
            await made.close()
