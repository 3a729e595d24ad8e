"""Two worlds that behave alike: the in-memory twins, and a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from shared.bus import Bus, MemoryBroker, NatsTransport, Transport
from shared.config import Settings
from shared.service import Kernel
from shared.state import MemoryState, NatsState, State
from shared.state.streams import ensure
from shared.streams import Streams
from tests.support.broker import TESTER, Broker


class World(Protocol):
    """Where kernels live that hear each other. All that a world made ends with it."""

    kind: str

    async def transport(self, name: str = TESTER) -> Transport: ...

    async def bus(self, name: str = TESTER, node: str = "node1") -> Bus:
        """A connection; on a real broker with the rights of the service called `name`, `tester` may do all."""

    async def state(self, bus: Bus) -> State: ...

    async def kernel(self, name: str = TESTER, node: str = "node1") -> Kernel:
        """What a service gets, with a run folder for each node: streams between nodes go over the bus."""


class _World:
    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self._directory, self._stack = directory, stack

    async def transport(self, name: str = TESTER) -> Transport:
        raise NotImplementedError

    async def state(self, bus: Bus) -> State:
        raise NotImplementedError

    async def bus(self, name: str = TESTER, node: str = "node1") -> Bus:
        bus = Bus(await self.transport(name), node, name)
        self._stack.push_async_callback(bus.close)
        await bus.open()
        return bus

    async def kernel(self, name: str = TESTER, node: str = "node1") -> Kernel:
        home = self._directory / node
        settings = Settings(state_dir=str(home / "state"), run_dir=str(home / "run"))
        bus = await self.bus(name, node)
        streams = Streams(bus, settings.run_path / "streams", name, settings.state_path)
        await streams.open()
        made = Kernel(settings, node, bus, await self.state(bus), streams)
        self._stack.push_async_callback(streams.close)
        self._stack.push_async_callback(made.tasks.close)
        return made


class MemoryWorld(_World):
    """The in-memory twins."""

    kind = "memory"

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        super().__init__(directory, stack)
        self.broker = MemoryBroker()
        self._state = MemoryState(TESTER)

    async def transport(self, name: str = TESTER) -> Transport:
        return self.broker.connect()

    async def state(self, bus: Bus) -> State:
        return self._state


class NatsWorld(_World):
    """A real broker with the engine's streams."""

    kind = "nats"

    def __init__(self, directory: Path, stack: AsyncExitStack, broker: Broker) -> None:
        super().__init__(directory, stack)
        self.broker = broker

    async def transport(self, name: str = TESTER) -> Transport:
        return await NatsTransport.connect(self.broker.url, name, self.broker.seed(name))

    async def state(self, bus: Bus) -> State:
        state = NatsState(bus)
        self._stack.push_async_callback(state.close)
        return state


@asynccontextmanager
async def memory_world(directory: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield MemoryWorld(directory, stack)


@asynccontextmanager
async def nats_world(directory: Path, broker: Broker) -> AsyncIterator[NatsWorld]:
    """On a broker that runs; makes the engine's streams first."""
    async with AsyncExitStack() as stack:
        world = NatsWorld(directory, stack, broker)
        await ensure(await world.bus())
        yield world
