"""A gateway over simulated services, on a unix socket of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.app import App, addresses
from gateway.build import assemble
from shared.bus import MemoryBroker
from shared.contracts import builder, executor, image_store, network, platform, scheduler, volume
from shared.contracts.base import Contract, Empty
from shared.contracts.scheduler import NODES, NodeRecord, UpdateRequest
from shared.service import Kernel
from shared.state import MemoryState
from shared.state.history import MemoryHistory
from shared.testing import kernel, serving
from tests.support.simulators.builder import BuilderSimulator
from tests.support.simulators.executor import ExecutorSimulator
from tests.support.simulators.image_store import ImageStoreSimulator
from tests.support.simulators.network import NetworkSimulator
from tests.support.simulators.platform_host import PlatformHostSimulator
from tests.support.simulators.volume import VolumeSimulator


@dataclass
class World:
    """The gateway's socket and the services behind it."""

    socket: Path
    kernel: Kernel
    app: App
    executor: ExecutorSimulator
    images: ImageStoreSimulator
    networks: NetworkSimulator
    volumes: VolumeSimulator
    builder: BuilderSimulator
    platform: PlatformHostSimulator


@dataclass
class Host:
    """Another host of the cluster, by its services."""

    images: ImageStoreSimulator
    networks: NetworkSimulator
    volumes: VolumeSimulator
    executor: ExecutorSimulator


class Here:
    """A scheduler that shows that it is there, and writes down what is said of hosts."""

    def __init__(self) -> None:
        self.updates: list[UpdateRequest] = []

    async def here(self, request: Empty) -> Empty:
        return Empty()

    async def update(self, request: UpdateRequest) -> NodeRecord:
        self.updates.append(request)
        return NodeRecord(id=request.node, name=request.node, role="hub", address="192.0.2.1:7377", joined=1)


def as_far_as(contract: Contract, simulator: object) -> Contract:
    """The part of a contract that a simulator serves."""
    endpoints = tuple(endpoint for endpoint in contract.endpoints if hasattr(simulator, endpoint.operation))
    return replace(contract, endpoints=endpoints)


@asynccontextmanager
async def gateway_world(directory: Path) -> AsyncIterator[World]:
    """A running gateway; all of it is gone after the block."""
    broker, state = MemoryBroker(), MemoryState("test")
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(kernel("services", directory, broker, state))
        own = await stack.enter_async_context(kernel("gateway", directory, broker, state))
        builders = BuilderSimulator(services)
        executors, images = ExecutorSimulator(services), ImageStoreSimulator(services)
        networks, volumes, host = NetworkSimulator(services), VolumeSimulator(services), PlatformHostSimulator()
        for contract, simulator in (
            (executor.CONTRACT, executors),
            (image_store.CONTRACT, images),
            (network.CONTRACT, networks),
            (volume.CONTRACT, volumes),
            (builder.CONTRACT, builders),
            (platform.CONTRACT, host),
        ):
            await stack.enter_async_context(serving(services, as_far_as(contract, simulator), simulator))
        app = App(await assemble(own, await MemoryHistory.listening(own.bus.transport)))
        for listener in addresses(own):
            await app.listen(listener)
        try:
            yield World(own.settings.socket_path, own, app, executors, images, networks, volumes, builders, host)
        finally:
            await app.close()


@asynccontextmanager
async def second_host(world: World) -> AsyncIterator[Host]:
    """For the time of the block the gateway's host, `one`, is in a cluster with another, `two` (id node2)."""
    state, broker = world.kernel.state, world.kernel.bus.transport._broker  # type: ignore[attr-defined]
    assert isinstance(state, MemoryState)
    state.hosts["node2"] = MemoryState("test")
    hosts = world.app._gateway.hosts
    for node, name in (("node1", "one"), ("node2", "two")):
        place = f"192.0.2.{node[-1]}:7377"
        await state.create(NODES, node, value=NodeRecord(id=node, name=name, role="hub", address=place, joined=1))
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(
            kernel("others", world.kernel.settings.run_path.parent / "two", broker, state.hosts["node2"], node="node2")
        )
        made = Host(
            images=ImageStoreSimulator(services),
            networks=NetworkSimulator(services),
            volumes=VolumeSimulator(services),
            executor=ExecutorSimulator(services),
        )
        for contract, simulator in (
            (image_store.CONTRACT, made.images),
            (network.CONTRACT, made.networks),
            (volume.CONTRACT, made.volumes),
            (executor.CONTRACT, made.executor),
            (scheduler.CONTRACT, Here()),
        ):
            await stack.enter_async_context(serving(services, as_far_as(contract, simulator), simulator))
        await hosts.open()
        stack.push_async_callback(hosts.close)
        world.kernel.clustered = True
        yield made
