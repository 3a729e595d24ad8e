from __future__ import annotations

import asyncio
import gzip
import os

from aiohttp import web

from tests.support.fake_registry import FakeRegistry
from tests.support.image_store import Store, small
from tools import images
from tools.images import Image


async def test_two_who_push_the_same_send_it_once(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1", content=os.urandom(3_000_000))
    await store.load(images.docker_archive(image))
    both = await asyncio.gather(*(store.push(f"{registry.name}/a:1") for _ in range(2)))
    assert all("aux" in answer[-1] for answer in both)
    assert len([each for each in registry.asked if each.method == "PATCH"]) == 1


async def test_progress_counts_what_was_read(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1", content=os.urandom(3_000_000))
    await store.load(images.docker_archive(image))
    size = len(image.layers[0])
    seen = [
        line["progressDetail"] for line in await store.push(f"{registry.name}/a:1") if line.get("status") == "Pushing"
    ]
    assert seen
    assert all(each["total"] == size and each["current"] <= size for each in seen)


async def test_so_many_at_once(store: Store, registry: FakeRegistry) -> None:
    layers = [images.tar([images.entry(str(number), os.urandom(10))]) for number in range(8)]
    await store.load(images.docker_archive(Image(layers, {}, (f"{registry.name}/a:1",))))
    running = most = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        return await registry._upload(request, "a", "")

    registry.override["POST", "/v2/a/blobs/uploads/"] = handler
    lines = await store.push(f"{registry.name}/a:1")
    assert most == 5
    assert sum(line.get("status") == "Waiting" for line in lines) == 3


async def test_compressed_layers_unpack_to_what_they_were(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1", content=b"x" * 100_000)
    await store.load(images.docker_archive(image))
    await store.push(f"{registry.name}/a:1")
    packed = [each for each in registry.blobs.values() if each.startswith(b"\x1f\x8b")]
    assert [gzip.decompress(each) for each in packed] == list(image.layers)


async def test_a_layer_known_to_be_there_that_is_not_is_sent(store: Store, registry: FakeRegistry) -> None:
    await store.load(images.docker_archive(small(f"{registry.name}/a:1")))
    await store.push(f"{registry.name}/a:1")
    first = dict(registry.manifests)
    registry.blobs.clear()
    registry.repositories.clear()
    assert any(line.get("status") == "Pushed" for line in await store.push(f"{registry.name}/a:1"))
    assert registry.manifests == first
