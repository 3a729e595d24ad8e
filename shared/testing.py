"""A kernel without processes: the in-memory twins of broker and store. For tests of services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.bus import Bus, MemoryBroker
from shared.bus.server import Server
from shared.config import Settings
from shared.contracts.base import Contract
from shared.service import Kernel
from shared.state import MemoryState
from shared.streams import Streams


@asynccontextmanager
async def kernel(
    name: str,
    directory: Path,
    broker: MemoryBroker | None = None,
    state: MemoryState | None = None,
    settings: Settings | None = None,
    node: str = "node1",
) -> AsyncIterator[Kernel]:
    """One service's kernel; several share a world by the same `broker` and `state`. `directory` must be short-lived."""
    chosen = settings or Settings(state_dir=str(directory / "state"), run_dir=str(directory / "run"))
    bus = Bus((broker or MemoryBroker()).connect(), node, name)
    await bus.open()
    streams = Streams(bus, chosen.run_path / "streams", name, chosen.state_path)
    await streams.open()
    made = Kernel(chosen, node, bus, state or MemoryState(name), streams)
    try:
        yield made
    finally:
        await made.tasks.close()
        await streams.close()
        await bus.close()


@asynccontextmanager
async def serving(made: Kernel, contract: Contract, implementation: object, node: str = "") -> AsyncIterator[Server]:
    """Serves a contract on a kernel's bus for the time of the block; `node`: as another than the kernel's."""
    server = Server(made.bus, contract, implementation, node)
    await server.open()
    try:
        yield server
    finally:
        await server.close(1.0)
