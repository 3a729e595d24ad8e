"""Content that is not what it should be, and pulls that are broken off."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.image_store.operations import pull_layers
from shared.contracts import image_store as contract
from shared.contracts.common import Ref
from shared.contracts.image_store import PrepareRequest
from shared.errors import NotFound
from tests.support.fake_registry import DOCKER_MANIFEST, FakeRegistry, cut, error
from tests.support.image_store import Store, World, lines, small
from tests.support.waiting import until
from tools import images
from tools.images import Image

DATA = os.urandom(4_000_000)


def failure(answer: list[dict[str, Any]]) -> str:
    text: str = answer[-1]["error"]
    return text


async def test_a_layer_that_is_not_what_the_configuration_says(store: Store, registry: FakeRegistry) -> None:
    image, other = small(), small(content=b"other")
    document = registry.manifest("a", image)
    document["layers"] = registry.manifest("a", other)["layers"]
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    assert "layers from manifest don't match image configuration: layer 0: expected" in failure(
        await store.pull(f"{registry.name}/a:1")
    )
    assert store.leftovers() == []
    assert store.blobs() == set()


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (images.tar([images.entry("../x", b"x")]), "failed to register layer: "),
        (b"\1" * 2048, "failed to register layer: "),
        (
            images.tar([images.entry("zeros", bytes(70 << 20))]),
            "failed to register layer: the archive unpacks to more than",
        ),
    ],
)
async def test_hostile_layers(store: Store, registry: FakeRegistry, layer: bytes, text: str) -> None:
    registry.add("a", "1", Image((layer,)))
    assert failure(await store.pull(f"{registry.name}/a:1")).startswith(text)
    assert store.leftovers() == []


async def test_a_layer_that_occurs_twice(store: Store, registry: FakeRegistry) -> None:
    layer, other = images.tar([images.entry("f", b"1")]), images.tar([images.entry("f", b"2")])
    registry.add("a", "1", Image((layer, other, layer)))
    await store.pull(f"{registry.name}/a:1")
    assert len((await store.resolve(f"{registry.name}/a:1")).diff_ids) == 3
    assert len([path for path in registry.paths() if "/blobs/" in path]) == 3


async def test_a_layer_does_not_wait_for_the_one_below_to_be_unpacked(store: Store, registry: FakeRegistry) -> None:
    below, above = images.tar([images.entry("f", b"1")]), images.tar([images.entry("above", b"2")])
    registry.add("a", "1", Image((below, above)))
    digest = registry.manifest("a", Image((below, above)))["layers"][0]["digest"]

    async def hold(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(registry.blobs[digest])
        await response.prepare(request)
        await until(lambda: any((store.root / "ingest").rglob("above")))
        await response.write(registry.blobs[digest])
        return response

    registry.override["GET", f"/v2/a/blobs/{digest}"] = hold
    said = await store.pull(f"{registry.name}/a:1")
    assert next(line["id"] for line in said if line.get("status") == "Pull complete") == digest[7:19]
    assert len((await store.resolve(f"{registry.name}/a:1")).diff_ids) == 2
    assert store.leftovers() == []


async def test_a_pull_goes_on_where_one_before_it_stopped(store: Store, registry: FakeRegistry) -> None:
    image = small(content=DATA)
    document = registry.manifest("a", image, "none")
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    digest = document["layers"][0]["digest"]
    path, sent = f"/v2/a/blobs/{digest}", asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(registry.blobs[digest])
        await response.prepare(request)
        await response.write(registry.blobs[digest][:2_500_000])
        sent.set()
        await asyncio.sleep(60)
        return response

    registry.override["GET", path] = hold
    offer = await store.call(contract.PULL, contract.PullRequest(reference=f"{registry.name}/a:1"))
    channel = await store.kernel.streams.take(offer)
    await sent.wait()
    await until(lambda: any(each.stat().st_size > 1_000_000 for each in store.partial()))
    channel.close()
    await until(lambda: not store.service._transfers.keys())
    kept = store.partial()[0].stat().st_size
    assert store.leftovers() == []
    del registry.override["GET", path]
    await store.pull(f"{registry.name}/a:1")
    begin = int(registry.asked[-1].headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 1_000_000 < kept <= begin <= 2_500_000  # what a thread was about to write when the client left counts, too
    assert (await store.resolve(f"{registry.name}/a:1")).id == image.id
    assert store.partial() == []


async def test_one_who_leaves_does_not_end_the_pull_of_another(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(content=DATA))
    digest = next(each for each in registry.blobs if len(registry.blobs[each]) > 1_000_000)
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go.wait()
        return await registry._blob(request, "a", digest)

    registry.override["GET", f"/v2/a/blobs/{digest}"] = hold
    leaving, staying = [
        await store.kernel.streams.take(
            await store.call(contract.PULL, contract.PullRequest(reference=f"{registry.name}/a:1"))
        )
        for _ in range(2)
    ]
    await asked.wait()
    await until(lambda: len(registry.paths()) >= 4)
    leaving.close()
    await asyncio.sleep(0.05)
    go.set()
    answer = b""
    while piece := await staying.read():
        answer += piece
    assert lines(answer)[-1]["status"].startswith("Status: Downloaded")
    assert registry.paths().count(f"/v2/a/blobs/{digest}") == 1


async def test_a_download_that_breaks_off_goes_on_by_itself(store: Store, registry: FakeRegistry) -> None:
    image = small(content=DATA)
    document = registry.manifest("a", image, "none")
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    digest = document["layers"][0]["digest"]
    registry.override["GET", f"/v2/a/blobs/{digest}"] = cut(registry.blobs[digest], 1_500_000)
    await store.pull(f"{registry.name}/a:1")
    snapshot = await store.call(contract.PREPARE, PrepareRequest(key="k", reference=f"{registry.name}/a:1"))
    lower = Path(snapshot.mounts[0].options[0].removeprefix("lowerdir=").partition(":")[0])
    assert (lower / "file").read_bytes() == DATA
    assert len([each for each in registry.asked if "Range" in each.headers]) >= 2


async def test_a_registry_that_wants_a_pause_gets_it(store: Store, registry: FakeRegistry) -> None:
    """429 with `Retry-After`: so many seconds later it is asked again, and meanwhile says so to who waits."""
    image = small(content=b"content")
    document = registry.manifest("a", image)
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    digest, times = document["layers"][0]["digest"], []

    async def busy(request: web.Request) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            return error(429, "TOOMANYREQUESTS", "slow down", {"Retry-After": "1"})
        return await registry._blob(request, "a", digest)

    registry.override["GET", f"/v2/a/blobs/{digest}"] = busy
    said = await store.pull(f"{registry.name}/a:1")
    assert "Retrying in 1 second" in [line.get("status") for line in said]
    assert said[-1]["status"].startswith("Status: Downloaded")
    assert len(times) == 2
    assert times[1] - times[0] >= 1


async def test_what_was_read_along_may_have_been_wrong(tmp_path: Path) -> None:
    """A server that gave other bytes first, and has no ranges, is asked again from the start."""
    async with FakeRegistry().served() as registry, World(tmp_path).store() as store:
        document = registry.manifest("a", small(below=DATA), "none")
        registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
        digest = document["layers"][0]["digest"]
        good, asked = registry.blobs[digest], 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            if asked == 1:
                return await cut(bytes(len(good)), 2_000_000)(request)
            return web.Response(body=good)

        registry.override["GET", f"/v2/a/blobs/{digest}"] = handler
        await store.pull(f"{registry.name}/a:1")
        assert (await store.resolve(f"{registry.name}/a:1")).size == len(DATA) + len("content")
        assert asked == 2


async def test_content_of_a_running_pull_is_not_collected(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(content=DATA, below=b"below"))
    digest = next(each for each in registry.blobs if len(registry.blobs[each]) > 1_000_000)
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go.wait()
        return await registry._blob(request, "a", digest)

    registry.override["GET", f"/v2/a/blobs/{digest}"] = hold
    pulling = asyncio.ensure_future(store.pull(f"{registry.name}/a:1"))
    await asked.wait()
    await until(lambda: bool(store.blobs()))
    await store.load(images.docker_archive(small("other:1")))
    await store.call(contract.REMOVE, contract.RemoveRequest(reference="other:1"))
    await store.call(contract.PRUNE, contract.PruneRequest())
    go.set()
    assert (await pulling)[-1]["status"].startswith("Status: Downloaded")
    assert (await store.resolve(f"{registry.name}/a:1")).size == len(DATA) + len("below")


async def test_what_a_killed_store_had_of_a_pull_is_used_by_the_next(world: World, registry: FakeRegistry) -> None:
    document = registry.manifest("a", small(content=DATA), "none")
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    digest = document["layers"][0]["digest"]
    async with world.store() as store:
        (store.root / "partial" / digest[7:]).write_bytes(registry.blobs[digest][:1_000_000])
    async with world.store() as store:
        await store.pull(f"{registry.name}/a:1")
        assert registry.asked[-1].headers["Range"] == "bytes=1000000-"
        with pytest.raises(NotFound):
            await store.resolve("other:1")


async def test_what_had_come_in_full_is_not_asked_for(world: World, registry: FakeRegistry) -> None:
    """The store was killed before it could take the blob over."""
    document = registry.manifest("a", small(content=DATA))
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    digest = document["layers"][0]["digest"]
    async with world.store() as store:
        (store.root / "partial" / digest[7:]).write_bytes(registry.blobs[digest])
        assert (await store.pull(f"{registry.name}/a:1"))[-1]["status"].startswith("Status: Downloaded")
        assert f"/v2/a/blobs/{digest}" not in registry.paths()


async def test_what_came_in_part_is_pruned_unless_it_is_coming(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(content=DATA))
    digest = next(each for each in registry.blobs if len(registry.blobs[each]) > 1_000_000)
    sent, go = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        sent.set()
        await go.wait()
        return await registry._blob(request, "a", digest)

    registry.override["GET", f"/v2/a/blobs/{digest}"] = hold
    pulling = asyncio.ensure_future(store.pull(f"{registry.name}/a:1"))
    await sent.wait()
    (store.root / "partial" / ("0" * 64)).write_bytes(b"left")
    assert (await store.call(contract.PRUNE, contract.PruneRequest())).bytes_freed == 4
    assert [each.name for each in store.partial()] == [digest[7:]]
    go.set()
    assert (await pulling)[-1]["status"].startswith("Status: Downloaded")


async def broken_off(store: Store, registry: FakeRegistry) -> str:
    """A pull of which one layer has come whole, and the other does not; the digest of the one."""
    whole, missing = (
        images.digest(images.compress(layer, "gzip")) for layer in small(content=DATA, below=b"below").layers
    )
    registry.add("a", "1", small(content=DATA, below=b"below"))
    arrived = asyncio.Event()

    async def hang_up(request: web.Request) -> web.StreamResponse:
        await arrived.wait()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    registry.override["GET", f"/v2/a/blobs/{missing}"] = hang_up
    pulling = asyncio.ensure_future(store.pull(f"{registry.name}/a:1"))
    await until(lambda: whole[7:] in store.blobs(), 60)
    arrived.set()
    assert "error" in (await pulling)[-1]
    del registry.override["GET", f"/v2/a/blobs/{missing}"]
    return whole


async def test_what_came_whole_waits_for_the_next_pull(world: World, registry: FakeRegistry) -> None:
    """Whatever is removed meanwhile, and over a restart."""
    async with world.store() as store:
        whole = await broken_off(store, registry)
        await store.load(images.docker_archive(small("other:1", below=b"below")))
        await store.call(contract.REMOVE, contract.RemoveRequest(reference="other:1"))
        assert whole[7:] in store.blobs()
    async with world.store() as store:
        assert whole[7:] in store.blobs()
        before = len(registry.asked)
        assert (await store.pull(f"{registry.name}/a:1"))[-1]["status"].startswith("Status: Downloaded")
        assert f"/v2/a/blobs/{whole}" not in [each.path for each in registry.asked[before:]]
        assert list((store.root / "leases").iterdir()) == []


async def test_pruning_gives_it_up(store: Store, registry: FakeRegistry) -> None:
    whole = await broken_off(store, registry)
    size = (store.root / "blobs/sha256" / whole[7:]).stat().st_size
    freed = (await store.call(contract.PRUNE, contract.PruneRequest())).bytes_freed
    assert freed >= size
    assert store.blobs() == set()
    assert [*(store.root / "leases").iterdir(), *(store.root / "layers").iterdir()] == []


async def test_pulls_beside_removals_and_prunes(store: Store, registry: FakeRegistry) -> None:
    """Images that share layers come and go in any order: each pull ends with an image that is whole."""
    names = [f"{registry.name}/i{number}:1" for number in range(3)]
    for number in range(len(names)):
        registry.add(f"i{number}", "1", small(content=b"%d" % number, below=b"below"))
    ended = asyncio.Event()

    async def churn() -> None:
        while not ended.is_set():
            await store.call(contract.PRUNE, contract.PruneRequest())
            await store.load(images.docker_archive(small("other:1", below=b"below")))
            await store.call(contract.REMOVE, contract.RemoveRequest(reference="other:1"))

    churning = asyncio.ensure_future(churn())
    try:
        for _ in range(2):
            for lines_ in await asyncio.gather(*(store.pull(name) for name in names)):
                assert lines_[-1]["status"].startswith("Status: Downloaded"), lines_
            for name in names:
                await store.prepare(name.rpartition("/")[2], name)
                await store.call(contract.RELEASE, Ref(id=name.rpartition("/")[2]))
                assert images.digest(await blob_of(store, name)) == (await store.resolve(name)).id
                await store.call(contract.REMOVE, contract.RemoveRequest(reference=name))
    finally:
        ended.set()
        await churning
    assert store.blobs() == set()


async def blob_of(store: Store, name: str) -> bytes:
    """The configuration, as the store keeps it."""
    return (store.root / "blobs/sha256" / (await store.resolve(name)).id[7:]).read_bytes()


def test_the_reason_is_told_not_what_it_brought_about() -> None:
    reason = ValueError("reason")
    group = BaseExceptionGroup("", [asyncio.CancelledError(), BaseExceptionGroup("", [reason])])
    assert pull_layers.first_error(group) is reason
