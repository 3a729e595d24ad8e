"""Who serves a contract while its suite runs: a simulator, the real service, a replacement of it, or a foreign process.

See the head of tests/contract/conftest.py for how a suite is written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared import config, ids
from shared.bus import Bus, NatsTransport
from shared.config import Settings
from shared.contracts.base import Contract
from shared.service import Kernel
from shared.state import NatsState, State
from shared.streams import Streams
from shared.testing import serving
from tests.support.broker import Broker
from tests.support.mounts import unmount_below
from tests.support.process import Process
from tests.support.worlds import memory_world, nats_world

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR, REAL, REPLACEMENT, FOREIGN = "simulator", "real", "replacement", "foreign"

Build = Callable[[Kernel], object]


@dataclass(frozen=True)
class Suite:
    """What the suite of one contract needs to know of who serves it.

    `simulator` makes the model of the service, `neighbours` make those of the services that the real one calls;
    a model may serve a part of its contract. `settings` are more SHOAL_* settings of the real process, `sweep`
    removes what it leaves on the host on purpose (bridges, firewall tables); mounts go without it.
    """

    contract: Contract
    simulator: Build
    neighbours: Mapping[Contract, Build] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    sweep: Callable[[Settings], None] = lambda settings: None


@dataclass(frozen=True)
class Party:
    """The service under test as its suite sees it. `directory` is a place for files that both sides can see."""

    kind: str
    bus: Bus
    state: State
    streams: Streams
    directory: Path


def kinds(service: str, only: Sequence[str] = ()) -> list[str]:
    """Against whom a test runs: a foreign process alone when one is named, else what it allows of the others.

    A replacement, where there is one, has to pass whatever the real service has to.
    """
    if foreign_url():
        return [FOREIGN]
    chosen = [kind for kind in (SIMULATOR, REAL) if not only or kind in only]
    return [*chosen, REPLACEMENT] if REAL in chosen and replacement(service).exists() else chosen


def replacement(service: str) -> Path:
    """The program of another implementation of a service's contract. It takes the settings of ours."""
    return ROOT / "tests" / "foreign" / service / "serve"


def foreign_url() -> str:
    return os.environ.get("SHOAL_CONFORMANCE_NATS", "")


def as_far_as(contract: Contract, implementation: object) -> Contract:
    """The part of a contract that an implementation serves."""
    endpoints = tuple(endpoint for endpoint in contract.endpoints if hasattr(implementation, endpoint.operation))
    return replace(contract, endpoints=endpoints)


async def serve(stack: AsyncExitStack, kernel: Kernel, contract: Contract, build: Build) -> None:
    """Serves what `build` makes for the time of the stack."""
    implementation = build(kernel)
    await stack.enter_async_context(serving(kernel, as_far_as(contract, implementation), implementation))


@asynccontextmanager
async def simulated(suite: Suite, directory: Path) -> AsyncIterator[Party]:
    async with memory_world(directory) as world, AsyncExitStack() as stack:
        kernel = await world.kernel(suite.contract.name)
        for contract, build in {**suite.neighbours, suite.contract: suite.simulator}.items():
            await serve(stack, kernel, contract, build)
        user = await world.kernel("tool")
        yield Party(SIMULATOR, user.bus, user.state, user.streams, directory)


class RealService:
    """The service as a process of its own, beside a broker of its own that grants what its contract declares.

    `kind` REPLACEMENT: the other implementation instead of ours. `broker`: one that is there already, for several.
    """

    def __init__(self, suite: Suite, directory: Path, kind: str = REAL, broker: Broker | None = None) -> None:
        self.suite, self.directory, self.kind = suite, directory, kind
        self._owns_broker = broker is None
        self.broker = broker or Broker(directory).start()
        self._environment = self._settings()
        self.settings = config.load(environment=self._environment)
        self.node = ids.node_id(self.settings.state_path)
        (self.settings.state_path / "keys").mkdir()
        shutil.copy(self.broker.seed(suite.contract.name), self.settings.state_path / "keys")
        self._process: Process | None = None

    def _settings(self) -> dict[str, str]:
        settings = {
            "state_dir": str(self.directory / "state"),
            "run_dir": str(self.directory / "run"),
            "nats_url": self.broker.url,
            **self.suite.settings,
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
        named = {f"SHOAL_{key.upper()}": value for key, value in settings.items()}
        return {**inherited, **named, "PYTHONPATH": str(ROOT)}

    async def start(self) -> None:
        """Returns when it serves. Its neighbours, on this loop, can be called by it meanwhile."""
        if self._process is None:
            self._process = Process(self._command(), "serves on node", self._environment)
        await asyncio.to_thread(self._process.wait)

    def _command(self) -> list[str]:
        name = self.suite.contract.name
        return [str(replacement(name))] if self.kind == REPLACEMENT else [sys.executable, "-m", f"services.{name}"]

    def close(self) -> None:
        """Ends it and removes what it leaves for its next start, as far as the suite says how."""
        code = self._process.close() if self._process else 0
        if self._owns_broker:
            self.broker.close()
        self.suite.sweep(self.settings)
        unmount_below(self.directory)
        assert code == 0, f"{self.suite.contract.name} ended with {code}:\n{self._process and self._process.log}"


@asynccontextmanager
async def real(service: RealService) -> AsyncIterator[Party]:
    """A connection to the real service, with its neighbours simulated as long as it lasts."""
    async with nats_world(service.directory, service.broker) as world, AsyncExitStack() as stack:
        kernel = await world.kernel(node=service.node)
        for contract, build in service.suite.neighbours.items():
            await serve(stack, kernel, contract, build)
        await service.start()
        yield Party(service.kind, kernel.bus, kernel.state, kernel.streams, service.directory)


@asynccontextmanager
async def foreign(directory: Path) -> AsyncIterator[Party]:
    """A connection, as the operator, to a service that runs somewhere."""
    environment = os.environ
    seed = environment.get("SHOAL_CONFORMANCE_SEED", "")
    transport = await NatsTransport.connect(foreign_url(), "tool", Path(seed) if seed else None)
    bus = Bus(transport, environment.get("SHOAL_CONFORMANCE_NODE", ""), "tool")
    await bus.open()
    state, streams = NatsState(bus), Streams(bus, directory / "streams", "tool", directory)
    await streams.open()
    try:
        yield Party(FOREIGN, bus, state, streams, directory)
    finally:
        await streams.close()
        await state.close()
        await bus.close()
