"""Two hosts of a cluster with the engine's platform on one broker, and a driver on each.

It is ours, the one of tests/support, or, when SHOAL_CONFORMANCE_PROGRAM is set (`shoal conformance migration_driver
--program "python archive_driver.py"`), only that program, which is started on each host with four arguments: the host's
node id, its own name, an address at which the two hosts reach each other, and an empty folder. SHOAL_NATS_URL is the
broker's URL, SHOAL_NKEY the file of its identity: it may do what the contract declares, and no more. It prints a line
with `ready` when it serves.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.bus import Bus, NatsTransport
from shared.config import Settings
from shared.contracts import migration_driver, platform
from shared.contracts.base import Endpoint
from shared.contracts.common import Ref
from shared.service import Kernel
from shared.state import NatsState
from shared.state.streams import ensure
from shared.streams import Streams
from shared.testing import serving
from tests.support.broker import TESTER, Broker
from tests.support.moving_hosts import Pair, moving_hosts
from tests.support.parties import ROOT
from tests.support.platform_host import Host
from tests.support.process import Process

PROGRAM = os.environ.get("SHOAL_CONFORMANCE_PROGRAM", "")
OURS, SECOND = "criu", f"{sys.executable} -P {ROOT}/tests/support/archive_driver.py"


@dataclass
class Drivers:
    """The driver on both hosts of `pair`."""

    pair: Pair
    bus: Bus
    name: str

    async def call(self, endpoint: Endpoint[Any, Any], request: Any, host: Host) -> Any:
        return await self.bus.call(endpoint, request, migration_driver.place(host.kernel.node, self.name))

    async def source(self, endpoint: Endpoint[Any, Any], name: str) -> Any:
        return await self.call(endpoint, Ref(id=name), self.pair.a)

    async def target(self, endpoint: Endpoint[Any, Any], name: str) -> Any:
        return await self.call(endpoint, Ref(id=name), self.pair.b)

    async def begun(self, request: platform.CreateRequest, strategy: migration_driver.Strategy) -> None:
        """All before the freeze."""
        arriving = migration_driver.ReceiveRequest(request=self.pair.there(request, self.pair.b), strategy=strategy)
        peer = await self.call(migration_driver.RECEIVE, arriving, self.pair.b)
        wanted = migration_driver.PrecopyRequest(id=request.id, peer=peer, strategy=strategy)
        await self.call(migration_driver.PRECOPY, wanted, self.pair.a)

    async def strategies(self) -> tuple[migration_driver.Strategy, ...]:
        told = await self.call(migration_driver.MIGRATABLE, migration_driver.MigratableRequest(), self.pair.a)
        return tuple(told.strategies)


@pytest.fixture(params=[PROGRAM] if PROGRAM else [OURS, SECOND], ids=lambda program: program.rpartition("/")[2])
async def drivers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Drivers]:
    broker = Broker(tmp_path).start()
    try:
        async with AsyncExitStack() as stack:
            user = Bus(await NatsTransport.connect(broker.url, TESTER, broker.seed()), "user", TESTER)
            stack.push_async_callback(user.close)
            await user.open()
            await ensure(user)
            pair = await stack.enter_async_context(moving_hosts(partial(_kernel, broker)))
            for host in (pair.a, pair.b):
                await stack.enter_async_context(serving(host.kernel, platform.CONTRACT, host.service))
                await stack.enter_async_context(_driver(request.param, broker, host, tmp_path))
            yield Drivers(pair, user, OURS if request.param == OURS else "tested")
    finally:
        broker.close()


@asynccontextmanager
async def _kernel(broker: Broker, base: Path, settings: Settings, node: str) -> AsyncIterator[Kernel]:
    bus = Bus(await NatsTransport.connect(broker.url, TESTER, broker.seed()), node, TESTER)
    await bus.open()
    streams = Streams(bus, settings.run_path / "streams", TESTER, settings.state_path)
    await streams.open()
    made = Kernel(settings, node, bus, NatsState(bus), streams)
    try:
        yield made
    finally:
        await made.tasks.close()
        await streams.close()
        await bus.close()


@asynccontextmanager
async def _driver(program: str, broker: Broker, host: Host, folder: Path) -> AsyncIterator[None]:
    if program == OURS:
        ((contract, node, driver),) = host.service.drivers
        async with serving(host.kernel, contract, driver, node):
            yield
        return
    own = folder / host.kernel.node
    own.mkdir()
    words = [*shlex.split(program), host.kernel.node, "tested", "127.0.0.1", str(own)]
    environment = {**os.environ, "SHOAL_NATS_URL": broker.url, "SHOAL_NKEY": str(broker.seed("migration_driver"))}
    process = Process(words, "ready", environment)
    try:
        await asyncio.to_thread(process.wait)
        yield
    finally:
        process.close()
