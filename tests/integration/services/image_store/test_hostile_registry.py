"""A registry that lies, stalls, hangs up or never ends, and the real store as a process.

Each pull ends with an error that says what is wrong, or with an image that is what its digests say. Nothing outside the
store is touched, nothing is left of what was refused, and neither the store nor any of its helpers grows.
"""

from __future__ import annotations

import asyncio
import re
import tarfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from shared.contracts import image_store
from shared.contracts.image_store import ListRequest, PullRequest, RemoveRequest
from shared.errors import NotFound
from tests.integration.services.image_store.conftest import Node, serving
from tests.support.fake_registry import (
    DOCKER_MANIFEST,
    FakeRegistry,
    encode,
)
from tests.support.hostile import Peak, escapes
from tests.support.hostile_registry import (
    DIGEST,
    DOCUMENTS,
    LAYERS,
    STALLS,
    WIRE,
    Attacks,
    Hostile,
    of_layer,
    on,
    silent,
)
from tests.support.waiting import until
from tools import images
from tools.bench.processes import tree
from tools.images import directory, entry, symlink, tar

SETTINGS = {
    "max_unpack_bytes": str(512 << 20),
    "max_unpack_entries": "20000",
    "registry_timeout": "20",
    "registry_retry_delay": "0",
    "max_download_attempts": "2",
}
MOST = 100 << 20
"""Bytes that the store, and each process it starts, may have of memory at most; idle they have some 40 MB."""


@dataclass
class World:
    """The store, and the registry that is to be spoilt."""

    node: Node
    hostile: Hostile

    async def pull(self) -> str:
        """The error, or ""."""
        return str((await self.node.pull(self.hostile.name))[-1].get("error", ""))

    async def leftovers(self) -> list[str]:
        """What a refused pull has left, but for the beginnings of layers."""
        listed = (await self.node.bus.call(image_store.LIST, ListRequest(all=True))).images
        folders = [str(path) for path in (self.node.root / "ingest").iterdir()]
        partial = sum(path.stat().st_size for path in (self.node.root / "partial").iterdir())
        outside = Path("/tmp/escaped")
        return [
            *(each.id for each in listed), *folders, *(["partial"] if partial > 8 << 20 else []),
            *([str(outside)] if outside.exists() else []),
        ]  # fmt: skip


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings=SETTINGS) as node, FakeRegistry().served() as registry:
        with Peak(lambda: tree([node.process.pid])) as peak:
            yield World(node, Hostile(registry))
            await node.bus.call(image_store.LIST, ListRequest())
        assert 0 < peak.most < MOST, f"{peak.most >> 20} MiB"


async def refused(world: World, attacks: Attacks) -> dict[str, str]:
    """Tries all of them; those that did not end with an error of their kind, or left something, with what came."""
    wrong = {}
    for name, (attack, text) in attacks.items():
        world.hostile.begin(name)
        attack(world.hostile)
        async with asyncio.timeout(60):
            said = await world.pull()
        if not re.search(text, said):
            wrong[name] = said
        if left := await world.leftovers():
            wrong[f"{name}: left"] = str(left)
    return wrong


async def test_documents_that_lie(world: World) -> None:
    assert await refused(world, DOCUMENTS) == {}


async def test_layers_that_are_hostile(world: World) -> None:
    assert await refused(world, LAYERS) == {}


async def test_layers_that_lead_out_lead_nowhere(world: World, tmp_path: Path) -> None:
    """Some are refused; what is taken is the image's own tree, and the canary beside it stays what it was."""
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    special = {
        "devices": [entry("disk", kind=tarfile.BLKTYPE, device=(254, 0)), entry("p", kind=tarfile.FIFOTYPE)],
        "deep": [directory("/".join(["d"] * depth)) for depth in range(1, 200)],
        "links to links": [symlink(f"l{number}", f"l{number + 1}") for number in range(100)],
    }
    taken = set()
    for name, entries in {**escapes(canary), **special}.items():
        world.hostile.begin(name)
        of_layer(tar(entries))(world.hostile)
        if not await world.pull():
            taken.add(name)
            await world.node.bus.call(image_store.REMOVE, RemoveRequest(reference=world.hostile.name))
        assert await world.leftovers() == []
        assert canary.read_text() == "untouched"
        assert [path.name for path in tmp_path.iterdir()] == ["canary"]
    assert {"absolute", *special} <= taken


async def test_a_registry_that_does_not_behave(world: World) -> None:
    assert await refused(world, WIRE) == {}


async def test_a_registry_that_stalls() -> None:
    """All at once: each has its own limit."""
    settings = {**SETTINGS, "registry_timeout": "2", "max_download_attempts": "1", "max_concurrent_downloads": "10"}
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serving(settings=settings))
        worlds = {}
        for name, (attack, _) in STALLS.items():
            hostile = Hostile(await stack.enter_async_context(FakeRegistry().served()))
            hostile.begin(name)
            attack(hostile)
            worlds[name] = World(node, hostile)
        async with asyncio.timeout(60):
            said = await asyncio.gather(*(world.pull() for world in worlds.values()))
        for (_, text), each in zip(STALLS.values(), said, strict=True):
            assert re.search(text, each)
        assert await World(node, hostile).leftovers() == []


async def test_a_digest_that_only_the_header_says(world: World) -> None:
    """What came is what counts."""
    world.hostile.begin("header")
    document = encode(world.hostile.good())
    world.hostile.put(document)

    async def lying(request: web.Request) -> web.StreamResponse:
        return web.Response(body=document, content_type=DOCKER_MANIFEST, headers={"Docker-Content-Digest": DIGEST})

    world.hostile.answer("/v2/a/manifests/1", lying)
    assert await world.pull() == ""
    found = await world.node.resolve(world.hostile.name)
    assert found.repo_digests == (f"{world.hostile.registry.name}/a@{images.digest(document)}",)
    world.hostile.answer(f"/v2/a/manifests/{DIGEST}", lying)
    said = (await world.node.pull(f"{world.hostile.registry.name}/a@{DIGEST}"))[-1]
    assert said["error"] == f"manifest verification failed for digest {DIGEST}"
    with pytest.raises(NotFound):
        await world.node.resolve(f"{world.hostile.registry.name}/a@{DIGEST}")


async def test_who_leaves_ends_what_a_registry_holds_up(world: World) -> None:
    world.hostile.begin("leaving")
    on("layer", silent)(world.hostile)
    offer = await world.node.bus.call(image_store.PULL, PullRequest(reference=world.hostile.name))
    channel = await world.node._streams.take(offer)
    while b"Pulling fs layer" not in await channel.read():
        pass
    channel.close()
    await until(lambda: not [*(world.node.root / "ingest").iterdir()])
    assert await world.leftovers() == []
