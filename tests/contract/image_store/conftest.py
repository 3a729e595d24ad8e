"""Who serves the image store's contract, and a user of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.common import StreamOffer
from shared.ids import new_token
from shared.streams import Streams
from tests.contract.image_store.model import ImageStoreModel
from tests.support.parties import Suite
from tools import images

Transfer = Callable[..., Awaitable[bytes]]
Load = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def suite() -> Suite:
    return Suite(
        image_store.CONTRACT,
        simulator=ImageStoreModel,
        settings={
            "max_unpack_bytes": str(64 << 20),
            "max_unpack_entries": "2000",
            "max_unpack_ratio": "50",
            "registry_retry_delay": "0",
        },
    )


@pytest.fixture
def name() -> str:
    """A name no other test uses."""
    return f"t{new_token()[:12]}"


@pytest.fixture
def made(name: str) -> images.Image:
    """An image nobody else has, tagged `<name>:1`."""
    layer = images.tar([images.directory("bin"), images.entry("bin/tool", name.encode(), mode=0o755)])
    return images.Image((layer,), {"Cmd": ["tool"], "Labels": {"test": name}}, (f"{name}:1",))


@pytest.fixture
def transfer(streams: Streams) -> Transfer:
    """Sends an archive into an offered stream; the whole answer."""

    async def run(offer: StreamOffer, data: bytes = b"") -> bytes:
        channel = await streams.take(offer)

        async def send() -> None:
            try:
                for start in range(0, len(data), 1 << 16):
                    await channel.write(data[start : start + (1 << 16)])
                await channel.write_eof()
            except ConnectionError:
                pass  # it has seen enough

        async def receive() -> bytes:
            answer = b""
            while piece := await channel.read():
                answer += piece
            return answer

        _, answer = await asyncio.gather(send(), receive())
        channel.close()
        return answer

    return run


@pytest.fixture
def load(bus: Bus, transfer: Transfer) -> Load:
    async def run(archive: bytes, **more: Any) -> list[dict[str, Any]]:
        offer = await bus.call(image_store.LOAD, image_store.LoadRequest(**{"quiet": True, **more}))
        return [json.loads(line) for line in (await transfer(offer, archive)).splitlines() if line]

    return run
