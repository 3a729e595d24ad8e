"""Other hosts' stores on the bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.image_store.adapters.peers_bus import BusPeers
from shared.errors import NotFound, ShoalError
from tests.support.image_store import Store, World, small
from tests.support.waiting import until
from tools import images
from tools.images import docker_archive


@pytest.fixture
async def peers(store: Store) -> AsyncIterator[BusPeers]:
    made = BusPeers(store.kernel.bus)
    yield made
    await made.close()


async def test_they_are_found_and_forgotten(world: World, store: Store, peers: BusPeers, tmp_path: Path) -> None:
    peers.learn(("gone", "node1", ""))
    assert peers.known == ("gone",)
    async with World(tmp_path / "2", "node2", world.broker).store():
        looking = peers.look()
        assert peers.look() is looking
        await until(lambda: "node2" in peers.known, 20)  # before the time is over
        await looking
        assert peers.known == ("node2",)
    await peers.look()
    assert not peers.known


async def test_what_they_have(world: World, store: Store, peers: BusPeers, tmp_path: Path) -> None:
    async with World(tmp_path / "2", "node2", world.broker).store() as other:
        await other.load(docker_archive(small("a:1")))
        layer = small().layers[0]
        digest, missing = images.digest(layer), images.digest(b"missing")
        assert await peers.holds("node2", digest)
        assert not await peers.holds("node2", missing)
        assert await peers.read("node2", digest, 3, 10) == layer[3:13]
        with pytest.raises(NotFound):
            await peers.read("node2", missing, 0, 1)
        with pytest.raises(ShoalError):
            await peers.holds("node3", digest)
