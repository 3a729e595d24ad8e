"""A whole image store on a real disk with the real helper, on the in-memory twins of broker and state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.image_store.service import ImageStoreService
from shared.bus import MemoryBroker
from shared.config import Settings
from shared.contracts import image_store as contract
from shared.contracts.base import Endpoint, Message
from shared.contracts.common import DockerEvent, StreamOffer
from shared.contracts.image_store import Image
from shared.service import Kernel
from shared.state import MemoryState
from shared.testing import kernel, serving
from tools import images

Reply = TypeVar("Reply", bound=Message)


class Store:
    """A served image store and its user."""

    def __init__(self, made: Kernel, service: ImageStoreService, root: Path) -> None:
        self.kernel, self.service, self.root = made, service, root
        self.events: list[DockerEvent] = []

    async def call(self, endpoint: Endpoint[Any, Reply], request: Message) -> Reply:
        return await self.kernel.bus.call(endpoint, request)

    async def transfer(self, offer: StreamOffer, data: bytes = b"") -> bytes:
        """Sends the data, returns the whole answer."""
        channel = await self.kernel.streams.take(offer)

        async def send() -> None:
            try:
                for start in range(0, len(data), 1 << 18):
                    await channel.write(data[start : start + (1 << 18)])
                await channel.write_eof()
            except ConnectionError:
                pass  # the store has seen enough

        async def receive() -> bytes:
            answer = b""
            while piece := await channel.read():
                answer += piece
            return answer

        _, answer = await asyncio.gather(send(), receive())
        channel.close()
        return answer

    async def load(self, archive: bytes, quiet: bool = True, **more: Any) -> list[dict[str, Any]]:
        offer = await self.call(contract.LOAD, contract.LoadRequest(quiet=quiet, **more))
        return lines(await self.transfer(offer, archive))

    async def import_(self, archive: bytes, **more: Any) -> list[dict[str, Any]]:
        return lines(await self.transfer(await self.call(contract.IMPORT, contract.ImportRequest(**more)), archive))

    async def pull(self, reference: str, **more: Any) -> list[dict[str, Any]]:
        offer = await self.call(contract.PULL, contract.PullRequest(reference=reference, **more))
        return lines(await self.transfer(offer))

    async def push(self, reference: str, **more: Any) -> list[dict[str, Any]]:
        offer = await self.call(contract.PUSH, contract.PushRequest(reference=reference, **more))
        return lines(await self.transfer(offer))

    async def save(self, *references: str) -> bytes:
        return await self.transfer(await self.call(contract.SAVE, contract.SaveRequest(references=references)))

    async def resolve(self, reference: str) -> Image:
        return await self.call(contract.RESOLVE, contract.ResolveRequest(reference=reference))

    async def prepare(self, key: str, reference: str) -> contract.Snapshot:
        return await self.call(contract.PREPARE, contract.PrepareRequest(key=key, reference=reference))

    def told(self) -> list[tuple[str, str]]:
        """Actions and names of the events so far."""
        return [(event.action, event.attributes.get("name", "")) for event in self.events]

    def leftovers(self) -> list[Path]:
        """What is on the disk although nothing is being done."""
        return [*(self.root / "ingest").iterdir()]

    def partial(self) -> list[Path]:
        """Blobs that have come in part."""
        return [*(self.root / "partial").iterdir()]

    def blobs(self) -> set[str]:
        return {path.name for path in (self.root / "blobs/sha256").iterdir()}


def lines(answer: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in answer.splitlines() if line]


class World:
    """One host: its disk, broker and records outlive the stores that run on it."""

    def __init__(
        self, directory: Path, node: str = "node1", broker: MemoryBroker | None = None, **settings: Any
    ) -> None:
        self.directory, self.node, self.state = directory, node, MemoryState("image_store")
        self.broker = broker or MemoryBroker()
        self.settings = Settings(
            state_dir=str(directory / "state"),
            run_dir=str(directory / "run"),
            max_unpack_bytes=64 << 20,
            max_unpack_entries=2000,
            max_unpack_ratio=50,
            registry_timeout=5,
            registry_retry_delay=0,
            registry_certs_dir=str(directory / "certs.d"),
            **settings,
        )

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        async with kernel("image_store", self.directory, self.broker, self.state, self.settings, self.node) as made:
            service = ImageStoreService(made)
            store = Store(made, service, made.settings.state_path / "image_store")

            async def heard(event: DockerEvent) -> None:
                store.events.append(event)

            await made.bus.listen(contract.IMAGE_EVENT, heard)
            await service.start()
            async with serving(made, contract.CONTRACT, service):
                yield store
            await service.close()


def small(*tags: str, content: bytes = b"content", below: bytes = b"", **config: Any) -> images.Image:
    """An image of one layer, or of two, with one file each."""
    layers = [images.tar([images.entry(name, data)]) for name, data in (("below", below), ("file", content)) if data]
    return images.Image(layers, config, tags)
