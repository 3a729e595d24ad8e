from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.contracts import image_store as contract
from shared.contracts.common import Ref
from shared.errors import Conflict, NotFound
from tests.support.image_store import Store, World, small
from tools import images
from tools.images import docker_archive


async def remove(store: Store, reference: str, **more: Any) -> list[str]:
    reply = await store.call(contract.REMOVE, contract.RemoveRequest(reference=reference, **more))
    return [line.untagged or line.deleted for line in reply.removed]


def lowers(snapshot: contract.Snapshot) -> list[Path]:
    return [Path(path) for path in snapshot.mounts[0].options[0].removeprefix("lowerdir=").split(":")[:-1]]


async def test_an_image_goes_with_the_layers_only_it_had(store: Store) -> None:
    kept, gone = small("kept:1", content=b"kept", below=b"same"), small("gone:1", content=b"gone", below=b"same")
    for image in (kept, gone):
        await store.load(docker_archive(image))
    store.events.clear()
    top = (await store.resolve("gone:1")).chain_id
    assert await remove(store, "gone:1") == ["gone:1", gone.id, top]
    assert store.told() == [("untag", gone.id), ("delete", gone.id)]
    assert len(list((store.root / "layers").iterdir())) == 2
    assert images.digest(gone.layers[1])[7:] not in store.blobs()
    assert (await store.prepare("c1", "kept:1")).mounts
    with pytest.raises(NotFound):
        await store.resolve(gone.id)


async def test_the_layers_of_a_container_stay_until_it_is_released(store: Store, world: World) -> None:
    image = small("a:1", below=b"below")
    await store.load(docker_archive(image))
    snapshot = await store.prepare("c1", "a:1")
    assert await remove(store, "a:1", force=True, in_use={image.id: "c1" * 30}) == ["a:1", image.id]
    assert all((path / name).exists() for path, name in zip(lowers(snapshot), ("file", "below"), strict=True))
    async with world.store() as again:
        same = await again.call(contract.SNAPSHOT, Ref(id="c1"))
        assert same.mounts == snapshot.mounts
        await again.call(contract.RELEASE, Ref(id="c1"))
        assert again.blobs() == set()
        assert list((again.root / "layers").iterdir()) == []


async def test_conflicts_change_nothing(store: Store) -> None:
    image = small("a:1", "b:1")
    await store.load(docker_archive(image))
    store.events.clear()
    with pytest.raises(Conflict, match="image is referenced in multiple repositories"):
        await remove(store, image.id)
    with pytest.raises(Conflict, match="cannot be forced"):
        await remove(store, image.id, force=True, in_use={image.id: "c" * 64}, running=(image.id,))
    assert (await store.resolve("a:1")).repo_tags == ("a:1", "b:1")
    assert store.events == []


async def prune(store: Store, in_use: tuple[str, ...] = (), **filters: tuple[str, ...]) -> tuple[set[str], int]:
    report = await store.call(contract.PRUNE, contract.PruneRequest(filters=filters, in_use=in_use))
    return set(report.removed), report.bytes_freed


async def test_prune_takes_what_has_no_name(store: Store) -> None:
    named, unnamed, used = small("a:1"), small(content=b"unnamed"), small(content=b"used")
    for image in (named, unnamed, used):
        await store.load(docker_archive(image))
    chain = (await store.resolve(unnamed.id)).chain_id
    assert await prune(store, (used.id,)) == ({unnamed.id, chain}, len(b"unnamed"))
    assert store.events[-1].attributes == {"reclaimed": "7"}
    assert await prune(store, (used.id,)) == (set(), 0)


async def test_prune_of_all_that_nobody_uses(store: Store) -> None:
    named, used = small("a:1", "b:1"), small("c:1", content=b"used")
    for image in (named, used):
        await store.load(docker_archive(image))
    removed, freed = await prune(store, (used.id,), dangling=("false",))
    assert {"a:1", "b:1", named.id} < removed
    assert freed == len(b"content")
    assert (await store.resolve("c:1")).id == used.id
