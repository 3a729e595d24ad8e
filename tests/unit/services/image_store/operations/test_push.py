from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest
from aiohttp import web

from shared.contracts import image_store as contract
from shared.contracts.common import Platform
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument
from tests.support.fake_registry import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, FakeRegistry, bearer, error
from tests.support.image_store import Store, World, small
from tools import images

Lines = list[dict[str, Any]]


def texts(lines: Lines) -> list[str]:
    return [" ".join(filter(None, (line.get("id"), line.get("status"), line.get("error")))) for line in lines]


async def test_a_push_and_its_pull(store: Store, registry: FakeRegistry, world: World) -> None:
    image = small(f"{registry.name}/a/b:1", below=b"below")
    await store.load(images.docker_archive(image))
    lines = await store.push(f"{registry.name}/a/b:1")
    diff_ids = [images.digest(layer)[7:19] for layer in image.layers]
    told = texts(lines)
    assert told[:3] == [
        f"The push refers to repository [{registry.name}/a/b]",
        *(f"{d} Preparing" for d in diff_ids[::-1]),
    ]
    assert sorted(told[-4:-2]) == sorted(f"{d} Pushed" for d in diff_ids)
    media_type, manifest = registry.manifests["a/b", "1"]
    digest = images.digest(manifest)
    assert told[-2] == f"1: digest: {digest} size: {len(manifest)}"
    assert lines[-1] == {"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": len(manifest)}}
    assert media_type == OCI_MANIFEST
    assert {layer["mediaType"] for layer in json.loads(manifest)["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+gzip"
    }
    assert (await store.resolve(image.id)).repo_digests == (f"{registry.name}/a/b@{digest}",)
    assert [(e.action, e.actor, e.attributes) for e in store.events if e.action == "push"] == [
        ("push", f"{registry.name}/a/b:1", {"name": f"{registry.name}/a/b"})
    ]
    await store.call(contract.REMOVE, contract.RemoveRequest(reference=image.id, force=True))
    assert store.blobs() == set()
    await store.pull(f"{registry.name}/a/b:1")
    assert (await store.resolve(f"{registry.name}/a/b:1")).id == image.id


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_MANIFEST])
async def test_what_was_pulled_goes_back_as_it_was(
    store: Store, registry: FakeRegistry, kind: str, compression: Any
) -> None:
    digest = registry.add("a", "1", small(), compression, kind)
    await store.pull(f"{registry.name}/a:1")
    async with FakeRegistry().served() as other:
        name = f"{other.name}/copy"
        await store.call(contract.TAG, contract.TagRequest(source=f"{registry.name}/a:1", repository=name, tag="2"))
        lines = await store.push(f"{name}:2")
        assert lines[-1]["aux"]["Digest"] == digest
        assert other.manifests["copy", "2"] == registry.manifests["a", "1"]
        assert other.blobs == registry.blobs


def index(registry: FakeRegistry, *platforms: str) -> str:
    """The tag 1 of the repository `a` becomes an index of images for these platforms; its digest."""
    items = []
    for name in platforms:
        digest = registry.add("a", name, images.Image(small(content=name.encode()).layers, {}, (), name))
        size = len(registry.manifests["a", digest][1])
        items.append({"mediaType": DOCKER_MANIFEST, "digest": digest, "size": size, "annotations": {"of": "a test"},
                      "platform": {"os": "linux", "architecture": name}})  # fmt: skip
    return registry.add_manifest("a", "1", {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": items}, OCI_INDEX)


@pytest.mark.parametrize("platforms", [("amd64",), ("amd64", "arm64")])
async def test_an_index_goes_back_as_it_was(world: World, registry: FakeRegistry, platforms: tuple[str, ...]) -> None:
    """Also after a restart, and when a new index has the same images."""
    async with world.store() as store:
        index(registry, "amd64")
        await store.pull(f"{registry.name}/a:1")
        digest = index(registry, *platforms)
        for name in platforms:
            await store.pull(f"{registry.name}/a:1", platform=Platform(architecture=name))
    async with world.store() as store, FakeRegistry().served() as other:
        name = f"{other.name}/copy"
        await store.call(contract.TAG, contract.TagRequest(source=f"{registry.name}/a:1", repository=name, tag="2"))
        assert (await store.push(f"{name}:2"))[-1]["aux"]["Digest"] == digest
        assert other.manifests["copy", "2"] == registry.manifests["a", "1"]
        lines = await store.push(f"{name}:2", platform=Platform(architecture="amd64"))
        assert lines[-1]["aux"]["Digest"] == images.digest(registry.manifests["a", "amd64"][1])
        for image in [each.id for each in store.service._images.catalog.images()]:
            await store.call(contract.REMOVE, contract.RemoveRequest(reference=image, force=True))
        assert store.blobs() == set()


async def test_of_an_index_that_is_not_here_whole_the_image_goes(store: Store, registry: FakeRegistry) -> None:
    index(registry, "amd64", "arm64")
    await store.pull(f"{registry.name}/a:1")
    assert (await store.push(f"{registry.name}/a:1"))[-1]["aux"]["Digest"] == images.digest(
        registry.manifests["a", "amd64"][1]
    )


async def test_what_is_there_is_not_sent_again(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1", f"{registry.name}/a:2", below=b"below")
    await store.load(images.docker_archive(image))
    await store.push(f"{registry.name}/a:1")
    before = len(registry.asked)
    lines = await store.push(f"{registry.name}/a:2")
    assert sorted(texts(lines)[3:5]) == sorted(f"{images.digest(x)[7:19]} Layer already exists" for x in image.layers)
    assert {each.method for each in registry.asked[before:]} == {"GET", "HEAD", "PUT"}


async def test_what_is_next_door_is_mounted(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1", f"{registry.name}/b/c:1")
    await store.load(images.docker_archive(image))
    bearer(registry)
    await store.push(f"{registry.name}/a:1")
    assert f"{images.digest(image.layers[0])[7:19]} Mounted from a" in texts(await store.push(f"{registry.name}/b/c:1"))
    asked = [each for each in registry.asked if each.path == "/token"]
    assert asked[0].query["scope"] == "repository:a:push,pull"
    assert [each.query["scope"] for each in asked[1:]] == ["repository:b/c:push,pull"] * 2
    assert registry.asked[-1].path == "/v2/b/c/manifests/1"


async def test_where_nothing_can_be_mounted_it_is_sent(store: Store, registry: FakeRegistry) -> None:
    await store.load(images.docker_archive(small(*(f"{registry.name}/{name}:1" for name in "abc"))))
    await store.push(f"{registry.name}/a:1")
    registry.mounts = False
    assert texts(await store.push(f"{registry.name}/b:1"))[-3].endswith("Pushed")

    async def denied(request: web.Request) -> web.StreamResponse:
        if "mount" in request.query:
            return error(403, "DENIED", "no")
        return await registry._upload(request, "c", "")

    registry.override["POST", "/v2/c/blobs/uploads/"] = denied
    assert texts(await store.push(f"{registry.name}/c:1"))[-3].endswith("Pushed")


async def test_all_tags(store: Store, registry: FakeRegistry) -> None:
    for tag in ("1", "2"):
        await store.load(images.docker_archive(small(f"{registry.name}/a:{tag}", content=tag.encode())))
    lines = await store.push(f"{registry.name}/a", all_tags=True)
    assert [line["aux"]["Tag"] for line in lines if "aux" in line] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "more", "text"),
    [
        ("x/none:1", {}, "An image does not exist locally with the tag: REGISTRY/x/none"),
        ("a:2", {}, "tag does not exist: REGISTRY/a:2"),
        (
            "a:1",
            {"platform": Platform(architecture="arm64")},
            "image REGISTRY/a:1 is for linux/amd64, not for linux/arm64",
        ),
    ],
)
async def test_what_cannot_be_pushed(
    store: Store, registry: FakeRegistry, name: str, more: dict[str, Any], text: str
) -> None:
    await store.load(images.docker_archive(small(f"{registry.name}/a:1")))
    first, last = await store.push(f"{registry.name}/{name}", **more)
    assert first["status"].startswith("The push refers to repository [")
    assert (last["error"], last["errorDetail"]["code"]) == (text.replace("REGISTRY", registry.name), 404)


async def test_names_that_cannot_be_pushed(store: Store) -> None:
    for name, all_tags in (("a@sha256:" + "0" * 64, False), ("A", False), ("a:1", True)):
        with pytest.raises(InvalidArgument):
            await store.call(contract.PUSH, contract.PushRequest(reference=name, all_tags=all_tags))


async def test_a_repository_of_digests_only_has_no_tags_to_push(store: Store, registry: FakeRegistry) -> None:
    digest = registry.add("a", "1", small())
    await store.pull(f"{registry.name}/a@{digest}")
    lines = await store.push(f"{registry.name}/a", all_tags=True)
    assert lines[-1]["error"] == f"no tags to push for {registry.name}/a"


async def test_refusals(store: Store, registry: FakeRegistry) -> None:
    await store.load(images.docker_archive(small(f"{registry.name}/a:1")))
    registry.challenge, registry.accepted = 'Basic realm="r"', set()
    user = Credentials(username="u", password="p")
    lines = await store.push(f"{registry.name}/a:1", auth=user)
    assert (lines[-1]["error"], lines[-1]["errorDetail"]["code"]) == ("unauthorized: authentication required", 401)
    registry.challenge = ""
    registry.asked.clear()

    async def denied(request: web.Request) -> web.Response:
        return error(403, "DENIED", "requested access to the resource is denied", detail=[])

    registry.override["POST", "/v2/a/blobs/uploads/"] = denied
    lines = await store.push(f"{registry.name}/a:1")
    assert lines[-1]["error"] == "denied: requested access to the resource is denied"
    assert len([each for each in registry.asked if each.method == "POST"]) == 1


async def test_an_upload_that_breaks_off_is_tried_again(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1", content=os.urandom(100_000))
    await store.load(images.docker_archive(image))
    failures = 2

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal failures
        if failures:
            failures -= 1
            return web.Response(status=503)
        return await registry._upload(request, "a", "")

    registry.override["POST", "/v2/a/blobs/uploads/"] = handler
    assert texts(await store.push(f"{registry.name}/a:1"))[-3].endswith("Pushed")
    assert failures == 0


async def test_a_registry_that_does_not_say_where(store: Store, registry: FakeRegistry) -> None:
    await store.load(images.docker_archive(small(f"{registry.name}/a:1")))
    for headers in ({}, {"Location": "file:///etc/passwd"}):

        async def handler(request: web.Request, headers: dict[str, str] = headers) -> web.Response:
            return web.Response(status=202, headers=headers)

        registry.override["POST", "/v2/a/blobs/uploads/"] = handler
        assert "does not say where to upload to" in (await store.push(f"{registry.name}/a:1"))[-1]["error"]


async def test_content_of_a_running_push_is_not_collected(store: Store, registry: FakeRegistry) -> None:
    image = small(f"{registry.name}/a:1")
    await store.load(images.docker_archive(image))
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go.wait()
        return await registry._upload(request, "a", "")

    registry.override["POST", "/v2/a/blobs/uploads/"] = hold
    pushing = asyncio.ensure_future(store.push(f"{registry.name}/a:1"))
    await asked.wait()
    await store.call(contract.REMOVE, contract.RemoveRequest(reference=f"{registry.name}/a:1"))
    go.set()
    assert "aux" in (await pushing)[-1]
    assert store.blobs() == set()
