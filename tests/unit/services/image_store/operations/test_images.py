from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from services.image_store.adapters import disk
from services.image_store.domain.archive import make_manifest
from services.image_store.ports import Document, Indexed
from shared.contracts import image_store as contract
from shared.contracts.common import Platform
from shared.contracts.image_store import Image, Removed
from shared.digest import digest_of
from shared.errors import Conflict, NotFound
from tests.support.fake_registry import FakeRegistry
from tests.support.image_store import Store, World, small
from tests.support.platforms import several_platforms
from tools import images
from tools.images import docker_archive, entry, tar


async def test_a_restart_finds_everything(world: World) -> None:
    image = small("a:1", below=b"below", Cmd=["sh"])
    async with world.store() as store:
        await store.load(docker_archive(image, "gzip"))
        before, snapshot = await store.resolve("a:1"), await store.prepare("c1", "a:1")
    async with world.store() as store:
        assert await store.resolve("a:1") == before
        assert await store.prepare("c1", "a:1") == snapshot


async def test_what_no_image_needs_is_swept_at_the_start(world: World) -> None:
    async with world.store() as store:
        await store.load(docker_archive(small("a:1")))
        kept = store.blobs()
    stray = store.root / "blobs/sha256" / ("0" * 64)
    stray.write_bytes(b"half a load")
    (store.root / "ingest/x").mkdir()
    tree = store.root / "layers" / ("0" * 64) / "diff"
    tree.mkdir(parents=True)
    async with world.store() as store:
        assert store.blobs() == kept
        assert len(list((store.root / "layers").iterdir())) == 1
        assert store.leftovers() == []


async def test_what_is_being_written_when_work_is_broken_off_does_not_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread can be ended: what it has written is known all the same, and given up with the rest."""
    write, begun, go_on, written = disk.write_file, threading.Event(), threading.Event(), threading.Event()

    def slow(path: Path, data: bytes, temporary: Path) -> None:
        begun.set()
        assert go_on.wait(60)
        write(path, data, temporary)
        written.set()

    async def work() -> None:
        images, document = store.service._images, b"{}"
        async with images.lease() as lease:
            await images.commit(document, make_manifest(digest_of(document), len(document), ()), "", lease)

    monkeypatch.setattr(disk, "write_file", slow)
    working = asyncio.ensure_future(work())
    assert await asyncio.to_thread(begun.wait, 60)
    working.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await asyncio.to_thread(written.wait, 60)
    assert store.blobs() == set()


async def test_an_image_whose_manifest_is_gone_is_left_out(world: World) -> None:
    good, bad = small("good:1", content=b"good"), small("bad:1", content=b"bad")
    async with world.store() as store:
        for image in (good, bad):
            await store.load(docker_archive(image))
        descriptor = (await store.resolve("bad:1")).descriptor
    assert descriptor is not None
    (store.root / "blobs/sha256" / descriptor.digest[7:]).unlink()
    async with world.store() as store:
        assert (await store.resolve("good:1")).id == good.id
        with pytest.raises(NotFound):
            await store.resolve("bad:1")
        await store.load(docker_archive(bad))
        assert (await store.resolve("bad:1")).id == bad.id


async def test_a_parent_is_remembered(world: World) -> None:
    parent = small("p:1")
    child = images.Image([*parent.layers, tar([entry("more")])], {}, ("c:1",))
    async with world.store() as store:
        await store.load(docker_archive(parent))
        await store.load(with_parent(child, parent.id))
        assert (await store.resolve("c:1")).parent == parent.id
    async with world.store() as store:
        assert (await store.resolve("c:1")).parent == parent.id


def with_parent(image: images.Image, parent: str) -> bytes:
    names = [f"{number}/layer.tar" for number, _ in enumerate(image.layers)]
    manifest = [{"Config": "c.json", "RepoTags": list(image.tags), "Layers": names, "Parent": parent}]
    entries = [entry(name, data) for name, data in zip(names, image.layers, strict=True)]
    return tar([*entries, entry("c.json", image.config_json), entry("manifest.json", json.dumps(manifest).encode())])


async def test_all_that_is_kept_is_an_oci_layout(store: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    assert sorted(os.listdir(store.root)) == sorted(
        [
            "oci-layout",
            "index.json",
            "blobs",
            "layers",
            "empty",
            "l",
            "snapshots",
            "spares",
            "ingest",
            "init",
            "leases",
            "trash",
            "partial",
            "reserve",
        ]
    )
    for path in (store.root / "blobs/sha256").iterdir():
        assert images.digest(Path(path).read_bytes()) == f"sha256:{path.name}"


ARM, AMD, S390 = Platform(architecture="arm64"), Platform(), Platform(architecture="s390x")


def of(architecture: str, content: bytes = b"content") -> images.Image:
    return images.Image(small(content=content + architecture.encode()).layers, {}, (), architecture)


async def resolve(store: Store, name: str, platform: Platform | None = None) -> Image:
    asked = contract.ResolveRequest(reference=name, platform=platform, manifests=True)
    return await store.call(contract.RESOLVE, asked)


async def both(store: Store, name: str) -> tuple[images.Image, images.Image]:
    """Loads an image for amd64 and one for arm64 under one name, the host's last."""
    arm, amd = of("arm64"), of("amd64")
    said = await store.load(several_platforms(name, arm, amd))
    assert said == [{"stream": f"Loaded image: {name}\n"}]
    return amd, arm


async def test_the_hosts_is_meant_without_a_platform_and_the_others_are_told(store: Store) -> None:
    amd, arm = await both(store, "a:1")
    found = await resolve(store, "a:1")
    assert found.id == amd.id
    assert [(each.image_id, each.platform.architecture) for each in found.manifests] == [
        (amd.id, "amd64"), (arm.id, "arm64")
    ]  # fmt: skip
    assert all(each.content > each.manifest.size and each.unpacked for each in found.manifests)
    assert (await resolve(store, "a:1", ARM)).id == arm.id
    prepared = await store.call(contract.PREPARE, contract.PrepareRequest(key="k", reference="a:1", platform=ARM))
    assert prepared.image.id == arm.id
    listed = await store.call(contract.LIST, contract.ListRequest(manifests=True))
    assert [(each.id, each.repo_tags, len(each.manifests)) for each in listed.images] == [(amd.id, ("a:1",), 2)]
    dangling = await store.call(contract.LIST, contract.ListRequest(filters={"dangling": ("true",)}))
    assert dangling.images == ()
    pruned = await store.call(contract.PRUNE, contract.PruneRequest())
    assert pruned.removed == ()


async def test_what_is_saved_is_loaded_as_the_same(store: Store, tmp_path: Path) -> None:
    amd, arm = await both(store, "a:1")
    archive = await store.save("a:1")
    chosen = contract.SaveRequest(references=("a:1",), platform=ARM)
    only = await store.transfer(await store.call(contract.SAVE, chosen))
    async with World(tmp_path / "other").store() as other:
        assert await other.load(only) == [{"stream": "Loaded image: a:1\n"}]
        assert (await resolve(other, "a:1")).id == arm.id
        assert len(await other.load(archive)) == 2  # the name went from one to both
        assert (await resolve(other, "a:1")).id == amd.id
        assert (await resolve(other, "a:1", ARM)).id == arm.id
        assert await other.save("a:1") == archive
        assert await other.load(archive, platform=ARM) == [{"stream": "Loaded image: a:1\n"}]
        assert (await resolve(other, "a:1", AMD)).id == amd.id  # of the same index: it keeps the name


async def test_a_restart_finds_both(store: Store, world: World) -> None:
    amd, arm = await both(store, "a:1")
    async with world.store() as again:
        assert (await resolve(again, "a:1")).id == amd.id
        assert (await resolve(again, "a:1", ARM)).id == arm.id


async def test_a_tag_names_both_and_each_can_be_tagged_by_its_id(store: Store) -> None:
    amd, arm = await both(store, "a:1")
    await store.call(contract.TAG, contract.TagRequest(source="a:1", repository="b", tag="1"))
    assert [each.image_id for each in (await resolve(store, "b:1")).manifests] == [amd.id, arm.id]
    await store.call(contract.TAG, contract.TagRequest(source=arm.id, repository="b", tag="1"))
    assert (await resolve(store, "b:1")).id == arm.id
    with pytest.raises(NotFound):
        await resolve(store, "b:1", AMD)


async def remove(store: Store, name: str, platform: Platform | None = None, **more: object) -> tuple[Removed, ...]:
    asked = contract.RemoveRequest(reference=name, platform=platform, **more)  # type: ignore[arg-type]
    return (await store.call(contract.REMOVE, asked)).removed


async def test_the_name_is_removed_with_both(store: Store) -> None:
    amd, arm = await both(store, "a:1")
    lines = await remove(store, "a:1")
    assert [each.untagged for each in lines if each.untagged] == ["a:1"]
    assert {amd.id, arm.id} <= {each.deleted for each in lines}
    assert store.blobs() == set()


async def test_one_platform_is_removed_alone(store: Store) -> None:
    amd, arm = await both(store, "a:1")
    lines = await remove(store, "a:1", AMD)
    assert lines[0] == Removed(deleted=amd.id)
    assert (await resolve(store, "a:1")).id == arm.id
    with pytest.raises(NotFound):
        await remove(store, "a:1", S390)
    assert (await remove(store, arm.id[: 12 + 7]))[:2] == (Removed(untagged="a:1"), Removed(deleted=arm.id))


async def test_a_container_of_either_holds_the_name(store: Store) -> None:
    _, arm = await both(store, "a:1")
    with pytest.raises(Conflict, match="must force"):
        await remove(store, "a:1", in_use={arm.id: "c" * 64})


async def test_pushed_as_an_index_and_pulled_again(store: Store, registry: FakeRegistry) -> None:
    name = f"{registry.name}/a:1"
    amd, arm = await both(store, name)
    last = (await store.push(name))[-1]["aux"]
    kind, document = registry.manifests["a", "1"]
    assert (kind, last["Size"]) == ("application/vnd.oci.image.index.v1+json", len(document))
    items = json.loads(document)["manifests"]
    assert {each["platform"]["architecture"] for each in items} == {"amd64", "arm64"}
    assert (await resolve(store, name)).repo_digests == (f"{registry.name}/a@{last['Digest']}",)
    await remove(store, name)
    for platform, image in ((ARM, arm), (AMD, amd)):
        await store.pull(name, platform=platform)
        assert (await resolve(store, name, platform)).id == image.id
    assert (await resolve(store, name)).id == amd.id
    await store.push(name, platform=ARM)
    assert registry.manifests["a", "1"][0] == "application/vnd.oci.image.manifest.v1+json"
    with_error = await store.push(name, platform=S390)
    assert "is for linux/amd64, linux/arm64, not for linux/s390x" in json.dumps(with_error[-1])


async def test_an_image_of_one_platform_takes_the_name_from_both(store: Store) -> None:
    await both(store, "a:1")
    new = small("a:1", content=b"new")
    await store.load(docker_archive(new))
    assert [each.image_id for each in (await resolve(store, "a:1")).manifests] == [new.id]


async def test_index_and_catalog_say_the_same_when_who_asked_leaves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.load(docker_archive(small("a:1")))
    content, begun, go = store.service._content, asyncio.Event(), asyncio.Event()
    write = content.write_index

    async def slow(found: Iterable[Indexed]) -> None:
        begun.set()
        await go.wait()
        await write(found)

    monkeypatch.setattr(content, "write_index", slow)
    image_id = (await store.resolve("a:1")).id
    document = Document(media_type="x", digest="", data=b"{}")
    adding = asyncio.ensure_future(store.service._images.came_of(image_id, document))
    await begun.wait()
    adding.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await adding
    (indexed,) = content.read_index()
    assert indexed.index is not None
    assert store.service._catalog.stored(image_id).index == indexed.index
