"""One simulated node: the neighbours of an executor on an in-memory bus, and the executor itself, which can die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from shared import testing
from shared.bus import MemoryBroker
from shared.contracts import executor, image_store, migration_driver, network, platform, volume
from shared.contracts.base import Contract, Message
from shared.contracts.common import DockerEvent
from shared.contracts.container import ContainerSpec, ContainerStatus
from shared.service import Kernel
from shared.state import MemoryState
from shared.state.view import View
from tests.support.parties import as_far_as
from tests.support.simulators.host.image_store import ImageStoreSimulator
from tests.support.simulators.host.network import NetworkSimulator
from tests.support.simulators.host.platform import PlatformSimulator
from tests.support.simulators.host.volume import VolumeSimulator


class World:
    """`serve` starts (again) a service, `vanish` takes it away as SIGKILL does; records and host stay."""

    def __init__(self, directory: Path, node: str = "node1", broker: MemoryBroker | None = None) -> None:
        self.directory, self.node = directory, node
        self.broker = broker or MemoryBroker()
        self.state = MemoryState()
        self.clustered = False
        self.events: list[DockerEvent] = []
        self._running: dict[str, AsyncExitStack] = {}
        self._kernels: dict[str, Kernel] = {}
        self.image_store = ImageStoreSimulator()
        self.network = NetworkSimulator()
        self.volume = VolumeSimulator()
        self.client: Kernel
        self.platform: PlatformSimulator
        self.view: View

    async def open(self) -> None:
        self.client = await self._kernel("client")
        self.view = await self.state.view(executor.NAMES, executor.SPECS, executor.STATUSES, executor.PLACEMENTS)
        await self.client.bus.listen(executor.CONTAINER_EVENT, self._heard)
        self.platform = PlatformSimulator(await self._kernel("platform-signals"))
        for contract, simulator in (
            (platform.CONTRACT, self.platform),
            (image_store.CONTRACT, self.image_store),
            (network.CONTRACT, self.network),
            (volume.CONTRACT, self.volume),
        ):
            await self.serve(contract, simulator)
        await self.serve(migration_driver.CONTRACT, self.platform, migration_driver.place(self.node))

    async def _heard(self, event: DockerEvent) -> None:
        self.events.append(event)

    async def _kernel(self, name: str) -> Kernel:
        stack = self._running[name] = AsyncExitStack()
        made = testing.kernel(name, self.directory / name, self.broker, self.state, node=self.node)
        kernel = self._kernels[name] = await stack.enter_async_context(made)
        return kernel

    async def serve(self, contract: Contract, implementation: object, node: str = "") -> None:
        """Serves a contract by an object, as far as that goes; `node`: as another one."""
        kernel, part = await self._kernel(contract.name), as_far_as(contract, implementation)
        await self._running[contract.name].enter_async_context(testing.serving(kernel, part, implementation, node))

    async def start(
        self,
        contract: Contract,
        build: Callable[[Kernel], Awaitable[Any]],
        prepare: Callable[[Kernel], None] = lambda kernel: None,
    ) -> Any:
        """Builds and serves a real service; `prepare` may tamper with its kernel."""
        kernel = await self._kernel(contract.name)
        kernel.clustered = self.clustered
        prepare(kernel)
        service = await build(kernel)
        await self._running[contract.name].enter_async_context(testing.serving(kernel, contract, service))
        return service

    async def vanish(self, contract: Contract) -> None:
        """What the service was doing stops where it is."""
        await self._kernels[contract.name].tasks.close()
        await self._running.pop(contract.name).aclose()

    async def close(self) -> None:
        for stack in reversed(self._running.values()):
            await stack.aclose()

    async def call(self, endpoint: Any, request: Message, timeout: float | None = None) -> Any:
        """As a client of the node."""
        return await self.client.bus.call(endpoint, request, timeout=timeout)

    def spec(self, container_id: str) -> ContainerSpec | None:
        entry = self.view.get(executor.SPECS, container_id)
        return entry.value if entry else None

    def status(self, container_id: str) -> ContainerStatus:
        entry = self.view.get(executor.STATUSES, container_id)
        return entry.value if entry else ContainerStatus()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when the condition holds; it is looked at after each turn of the loop."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  # anything may change it
                await asyncio.sleep(0)

    def leftovers(self) -> set[str]:
        """What is on the host or in the records of containers that do not exist."""
        existing = {parts[0] for parts, _ in self.view.items(executor.SPECS)}
        held = {
            "snapshot": set(self.image_store.snapshots),
            "sandbox": set(self.network.stacks),
            "files": set(self.network.files),
            "workload": set(self.platform.machines),
            "mount": {user for user, _ in self.volume.mounts},
            "status": {parts[0] for parts, _ in self.view.items(executor.STATUSES)},
            "placement": {parts[0] for parts, _ in self.view.items(executor.PLACEMENTS)},
            "name": {entry.value.id for _, entry in self.view.items(executor.NAMES)},
        }
        return {f"{what} of {key[:12]}" for what, keys in held.items() for key in keys - existing}


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    made = World(directory)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
