"""Image stores of several hosts on one broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.image_store.operations import fetch as module
from shared.contracts import image_store as contract
from shared.contracts.common import Descriptor
from shared.contracts.image_store import FetchRequest, PrepareRequest, RemoveRequest
from shared.contracts.peers import FetchReply
from shared.errors import InvalidArgument, NotFound
from tests.support.fake_registry import FakeRegistry
from tests.support.image_store import Store, World, small
from tests.support.platforms import several_platforms
from tests.unit.services.image_store.operations.test_save import members
from tools.images import docker_archive


@pytest.fixture
async def other(world: World, tmp_path: Path) -> AsyncIterator[Store]:
    """The store of a second host."""
    async with World(tmp_path / "2", "node2", world.broker).store() as made:
        yield made


async def request(source: Store, image: str, **more: object) -> FetchRequest:
    manifest = (await source.resolve(image)).descriptor
    assert manifest is not None
    return FetchRequest(manifest=manifest, **more)  # type: ignore[arg-type]


async def fetch(store: Store, asked: FetchRequest) -> FetchReply:
    return await store.call(contract.FETCH, asked)


async def test_an_image_that_was_loaded_elsewhere(store: Store, other: Store) -> None:
    image = small("a:1", below=b"below", Cmd=["sh"])
    await store.load(docker_archive(image))
    asked = await request(store, "a:1", nodes=("node1",), names=("a:1", "b"))
    assert await fetch(other, asked) == FetchReply(image_id=image.id)
    found = await other.resolve("b:latest")
    assert (found.id, found.repo_tags, found.descriptor) == (image.id, ("a:1", "b:latest"), asked.manifest)
    await other.prepare("c1", "a:1")
    assert other.blobs() == store.blobs()
    assert other.partial() == other.leftovers() == [*(other.root / "leases").iterdir()] == []
    assert await fetch(other, asked) == FetchReply(image_id=image.id)


async def test_a_name_of_several_platforms(store: Store, other: Store) -> None:
    """Each comes by itself, and takes the name from no other platform's."""
    made = [replace(small(content=each.encode()), architecture=each) for each in ("amd64", "arm64")]
    await store.load(several_platforms("a:1", *made))
    for image in made:
        await fetch(other, await request(store, image.id, names=("a:1",)))
    assert [(await other.resolve(each.id)).repo_tags for each in made] == [("a:1",), ("a:1",)]
    assert len(json.loads(members(await other.save("a:1"))["manifest.json"])) == 2


async def test_nobody_needs_to_say_where_it_is(store: Store, other: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    await fetch(other, await request(store, "a:1"))
    assert (await other.resolve(small().id)).repo_tags == ()


async def test_a_host_that_is_not_there_is_passed_over(store: Store, other: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    done = await fetch(other, await request(store, "a:1", nodes=("gone", "node1")))
    assert done.image_id == small().id


async def test_a_registry_has_what_no_host_has(store: Store, other: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small())
    name = f"{registry.name}/a:1"
    await store.pull(name)
    asked = await request(store, name, reference=name)
    await store.call(contract.REMOVE, RemoveRequest(reference=small().id, force=True))
    await store.call(contract.PRUNE, contract.PruneRequest())
    assert (await fetch(other, asked)).image_id == small().id
    missing = FetchRequest(manifest=Descriptor(media_type="x", digest=f"sha256:{0:064}", size=2))
    with pytest.raises(NotFound, match="no other image store gives"):
        await fetch(other, missing)


async def test_a_pull_asks_other_hosts_for_layers(store: Store, other: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(below=b"below"))
    name = f"{registry.name}/a:1"
    await store.pull(name)
    other.service._peers.learn(("node1",))
    before = len(registry.asked)
    lines = await other.pull(name)
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}"
    assert not [each.path for each in registry.asked[before:] if "/blobs/" in each.path]
    assert other.blobs() == store.blobs()


async def test_a_peer_that_has_but_a_part(store: Store, other: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(below=b"below"))
    registry.add("b", "1", small(below=b"below", content=b"other"))
    await store.pull(f"{registry.name}/a:1")
    other.service._peers.learn(("node1",))
    before = len(registry.asked)
    await other.pull(f"{registry.name}/b:1")
    assert len([each for each in registry.asked[before:] if "/blobs/" in each.path]) == 2  # configuration, upper layer


@pytest.mark.parametrize("digest", ["", "x", "sha512:" + "0" * 128])
async def test_what_is_no_manifest(store: Store, digest: str) -> None:
    manifest = Descriptor(media_type="x", digest=digest, size=1)
    with pytest.raises(InvalidArgument, match="not a sha256 digest"):
        await fetch(store, FetchRequest(manifest=manifest))


async def test_it_can_be_run_at_once(store: Store, other: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    done = await fetch(other, await request(store, "a:1", nodes=("node1",)))
    snapshot = await other.call(contract.PREPARE, PrepareRequest(key="c", reference=done.image_id))
    assert snapshot.image.id == small().id


async def test_a_host_that_comes_back_is_asked_again(
    world: World, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its broker lost its way to the others for a while, for one."""
    monkeypatch.setattr(module, "ROUNDS", 1000)
    elsewhere = World(tmp_path / "2", "node2", world.broker)
    async with elsewhere.store() as other:
        await other.load(docker_archive(small("a:1")))
        asked = await request(other, "a:1", nodes=("node2",))
    fetching = asyncio.ensure_future(fetch(store, asked))
    await asyncio.sleep(4)  # longer than a call waits for somebody who serves
    async with elsewhere.store():
        assert (await fetching).image_id == small().id
