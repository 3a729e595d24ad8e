"""The image store as a process of its own, beside a real broker, that may be killed and started again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import uvloop

from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.common import StreamOffer
from shared.contracts.image_store import Image, LoadRequest, PullRequest, ResolveRequest
from shared.streams import Channel, Streams
from tests.support.broker import Broker
from tests.support.parties import REAL, RealService, Suite
from tests.support.process import Process
from tests.support.worlds import nats_world


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    return {"uvloop": uvloop.new_event_loop}


class Node:
    """One host with its image store, as a user on the bus sees it."""

    def __init__(self, service: RealService, bus: Bus, streams: Streams) -> None:
        self.service, self.bus, self._streams = service, bus, streams
        self.root = service.settings.state_path / "image_store"

    async def start(self) -> None:
        await self.service.start()

    @property
    def process(self) -> Process:
        assert self.service._process is not None
        return self.service._process

    async def kill(self) -> None:
        """SIGKILL; the next `start` is a new process on the same disk."""
        await asyncio.to_thread(self.process.kill)
        self.service._process = None

    async def begin_load(self, begin: bytes) -> Channel:
        """A load that waits for the rest of its archive."""
        channel = await self._streams.take(await self.bus.call(image_store.LOAD, LoadRequest(quiet=True)))
        await channel.write(begin)
        return channel

    async def helper(self) -> int:
        """The process that unpacks, once it has begun to."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        async with asyncio.timeout(60):
            while not list((self.root / "ingest").glob("*/0")):  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.01)
        return int(children.read_text().split()[0])

    async def load(self, archive: bytes) -> list[dict[str, Any]]:
        """Raises `ConnectionError` when the store dies meanwhile."""
        return await self._talk(await self.bus.call(image_store.LOAD, LoadRequest(quiet=True)), archive)

    async def pull(self, reference: str) -> list[dict[str, Any]]:
        """Raises as `load`."""
        return await self._talk(await self.bus.call(image_store.PULL, PullRequest(reference=reference)))

    async def _talk(self, offer: StreamOffer, archive: bytes = b"") -> list[dict[str, Any]]:
        channel = await self._streams.take(offer)
        try:
            for start in range(0, len(archive), 1 << 16):
                await channel.write(archive[start : start + (1 << 16)])
            await channel.write_eof()
            answer = b""
            while piece := await channel.read():
                answer += piece
        finally:
            channel.close()
        if not answer:
            raise ConnectionResetError("no answer")
        return [json.loads(line) for line in answer.splitlines()]

    async def resolve(self, reference: str) -> Image:
        return await self.bus.call(image_store.RESOLVE, ResolveRequest(reference=reference))


@asynccontextmanager
async def serving(
    broker: Broker | None = None, settings: Mapping[str, str] = {}, kind: str = REAL
) -> AsyncIterator[Node]:
    """A host whose store serves; on a broker of its own, where none is given. `settings` are more of its process.

    `kind`: see `RealService`.
    """
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="shoal-")))  # short: it holds sockets
        suite = Suite(image_store.CONTRACT, simulator=lambda kernel: None, settings=settings)
        service = RealService(suite, home, kind, broker)
        stack.callback(service.close)
        world = await stack.enter_async_context(nats_world(home, service.broker))
        kernel = await world.kernel(node=service.node)
        made = Node(service, kernel.bus, kernel.streams)
        await made.start()
        yield made


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with serving() as made:
        yield made


@pytest.fixture
async def nodes(broker: Broker) -> AsyncIterator[tuple[Node, ...]]:
    """Three hosts on one broker."""
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(serving(broker)) for _ in range(3)])
