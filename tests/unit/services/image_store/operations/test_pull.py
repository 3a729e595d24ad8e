from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from shared.contracts import image_store as contract
from shared.contracts.common import Platform
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument, NotFound, PermissionDenied
from tests.support.certificates import Authority
from tests.support.fake_registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    FakeRegistry,
    basic,
    bearer,
    error,
)
from tests.support.image_store import Store, World, small
from tools import images
from tools.images import Image

Lines = list[dict[str, Any]]


def texts(lines: Lines) -> list[str]:
    return [" ".join(filter(None, (line.get("id"), line.get("status"), line.get("error")))) for line in lines]


def failure(lines: Lines) -> tuple[int, str]:
    """The code and text of the error that the lines end with."""
    assert lines[-1]["error"] == lines[-1]["errorDetail"]["message"]
    return lines[-1]["errorDetail"]["code"], lines[-1]["error"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_MANIFEST])
async def test_every_form_of_an_image(store: Store, registry: FakeRegistry, kind: str, compression: Any) -> None:
    image = small(below=b"below", Cmd=["sh"])
    digest = registry.add("a/b", "1", image, compression, kind)
    layers = [images.digest(images.compress(each, compression))[7:19] for each in image.layers]
    lines = await store.pull(f"{registry.name}/a/b:1")
    told = texts(lines)
    assert told[:3] == ["1 Pulling from a/b", f"{layers[0]} Pulling fs layer", f"{layers[1]} Pulling fs layer"]
    for layer in layers:
        states = [text.removeprefix(f"{layer} ") for text in told if text.startswith(layer)]
        assert list(dict.fromkeys(states)) == [
            "Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete",
        ]  # fmt: skip
    assert told[-2:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {registry.name}/a/b:1"]
    found = await store.resolve(f"{registry.name}/a/b:1")
    assert (found.id, found.repo_digests) == (image.id, (f"{registry.name}/a/b@{digest}",))
    assert found.descriptor is not None
    assert (found.descriptor.digest, found.descriptor.media_type) == (digest, kind)
    assert store.blobs() == {each[7:] for each in (*registry.blobs, digest)}
    assert store.leftovers() == store.partial() == []
    assert [(e.action, e.actor, e.attributes["name"]) for e in store.events] == [
        ("pull", f"{registry.name}/a/b:1", f"{registry.name}/a/b")
    ]


async def test_what_is_here_already_costs_one_question(store: Store, registry: FakeRegistry) -> None:
    digest = registry.add("a", "1", small())
    await store.pull(f"{registry.name}/a:1")
    before = len(registry.asked)
    assert texts(await store.pull(f"{registry.name}/a:1")) == [
        "1 Pulling from a",
        f"Digest: {digest}",
        f"Status: Image is up to date for {registry.name}/a:1",
    ]
    assert [each.method for each in registry.asked[before:]] == ["HEAD"]
    registry.manifests["b", "1"] = registry.manifests["a", "1"]
    assert texts(await store.pull(f"{registry.name}/b:1"))[-1].startswith("Status: Downloaded newer image")
    assert len((await store.resolve(f"{registry.name}/b:1")).repo_tags) == 2


async def test_a_tag_that_moved(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(content=b"old", below=b"same"))
    await store.pull(f"{registry.name}/a:1")
    registry.add("a", "1", small(content=b"new", below=b"same"))
    lines = await store.pull(f"{registry.name}/a:1")
    same = images.digest(images.compress(small(below=b"same").layers[0], "gzip"))[7:19]
    assert f"{same} Already exists" in texts(lines)
    assert f"{same} Pull complete" not in texts(lines)
    assert (await store.resolve(f"{registry.name}/a:1")).id == small(content=b"new", below=b"same").id


async def test_by_digest(store: Store, registry: FakeRegistry) -> None:
    image = small()
    digest = registry.add("a", "1", image)
    name = f"{registry.name}/a@{digest}"
    assert texts(await store.pull(name))[0] == f"{digest} Pulling from a"
    found = await store.resolve(name)
    assert (found.id, found.repo_tags, found.repo_digests) == (image.id, (), (name,))


async def test_all_tags(store: Store, registry: FakeRegistry) -> None:
    for tag in ("1", "2", "3"):
        registry.add("a", tag, small(content=tag.encode()))
    lines = await store.pull(f"{registry.name}/a", all_tags=True)
    assert [text for text in texts(lines) if "from" in text] == [f"{tag} Pulling from a" for tag in "123"]
    assert texts(lines)[-1] == f"Status: Downloaded newer image for {registry.name}/a"
    assert len(texts(await store.pull(f"{registry.name}/a", all_tags=True))) == 7


async def test_without_a_tag_it_is_the_latest(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "latest", small())
    assert texts(await store.pull(f"{registry.name}/a"))[-1].endswith("/a:latest")


def index(registry: FakeRegistry, kind: str = DOCKER_LIST) -> tuple[str, dict[str, Image]]:
    """An index of images for several platforms in repository `a`; its digest."""
    made = {name: Image(small(content=name.encode()).layers, {}, (), name) for name in ("arm64", "amd64")}
    items = []
    for name, image in made.items():
        digest = registry.add("a", f"only-{name}", image)
        size = len(registry.manifests["a", digest][1])
        items.append({"mediaType": DOCKER_MANIFEST, "digest": digest, "size": size,
                      "platform": {"os": "linux", "architecture": name}})  # fmt: skip
    return registry.add_manifest("a", "1", {"schemaVersion": 2, "mediaType": kind, "manifests": items}, kind), made


@pytest.mark.parametrize("kind", [DOCKER_LIST, OCI_INDEX])
async def test_of_several_platforms(store: Store, registry: FakeRegistry, kind: str) -> None:
    digest, made = index(registry, kind)
    await store.pull(f"{registry.name}/a:1")
    found = await store.resolve(f"{registry.name}/a:1")
    assert (found.id, found.repo_digests) == (made["amd64"].id, (f"{registry.name}/a@{digest}",))
    await store.pull(f"{registry.name}/a:1", platform=Platform(architecture="aarch64"))
    assert (await store.resolve(f"{registry.name}/a:1")).id == made["amd64"].id
    for name, image in made.items():
        asked = contract.ResolveRequest(reference=f"{registry.name}/a:1", platform=Platform(architecture=name))
        there = await store.call(contract.RESOLVE, asked)
        assert (there.id, there.repo_digests) == (image.id, (f"{registry.name}/a@{digest}",))
    assert texts(await store.pull(f"{registry.name}/a:1"))[-1].startswith("Status: Image is up to date")
    code, text = failure(await store.pull(f"{registry.name}/a:1", platform=Platform(architecture="s390x")))
    assert (code, text) == (404, "no matching manifest for linux/s390x in the manifest list entries")


async def test_a_tag_that_moved_has_no_platforms_of_before(store: Store, registry: FakeRegistry) -> None:
    _, made = index(registry)
    for platform in (None, Platform(architecture="arm64")):
        await store.pull(f"{registry.name}/a:1", platform=platform)
    new = small(content=b"new")
    registry.add("a", "1", new)
    await store.pull(f"{registry.name}/a:1")
    assert (await store.resolve(f"{registry.name}/a:1")).id == new.id
    asked = contract.ResolveRequest(reference=f"{registry.name}/a:1", platform=Platform(architecture="arm64"))
    with pytest.raises(NotFound):
        await store.call(contract.RESOLVE, asked)
    assert (await store.resolve(made["arm64"].id)).repo_tags == ()


async def test_another_platform_than_asked_for_when_there_is_no_choice(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small())
    lines = await store.pull(f"{registry.name}/a:1", platform=Platform(architecture="arm64"))
    assert texts(lines)[-1].startswith(f"WARNING: image with reference {registry.name}/a:1 was found but its platform")
    assert (await store.resolve(f"{registry.name}/a:1")).platform.architecture == "amd64"


async def test_errors_in_dockers_words(store: Store, registry: FakeRegistry) -> None:
    code, text = failure(await store.pull(f"{registry.name}/a:1"))
    assert (code, text) == (404, f"manifest for {registry.name}/a:1 not found: manifest unknown: manifest unknown")

    async def limited(request: web.Request) -> web.Response:
        return error(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.")

    registry.override["GET", "/v2/a/manifests/1"] = limited
    code, text = failure(await store.pull(f"{registry.name}/a:1"))
    assert (code, text) == (500, "toomanyrequests: You have reached your pull rate limit.")

    async def denied(request: web.Request) -> web.Response:
        return error(403, "DENIED", "requested access to the resource is denied", detail=[])

    registry.override["GET", "/v2/a/manifests/1"] = denied
    code, text = failure(await store.pull(f"{registry.name}/a:1"))
    assert (code, text.partition(": ")[0]) == (
        404, f"pull access denied for {registry.name}/a, repository does not exist or may require 'docker login'",
    )  # fmt: skip
    code, text = failure(await store.pull("localhost:1/a:1"))
    assert code == 500
    assert text.startswith('Get "http://localhost:1/v2/a/manifests/1": dial tcp ')
    assert text.endswith(":1: connect: connection refused")


async def test_names_that_nobody_can_pull(store: Store) -> None:
    for name, kind in (("scratch", PermissionDenied), ("A", InvalidArgument), ("a:..", InvalidArgument)):
        with pytest.raises(kind):
            await store.call(contract.PULL, contract.PullRequest(reference=name))
    with pytest.raises(InvalidArgument, match="tag can't be used"):
        await store.call(contract.PULL, contract.PullRequest(reference="a:1", all_tags=True))


async def test_credentials(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small())
    registry.challenge, registry.accepted = 'Basic realm="r"', {basic("u", "p")}
    user = Credentials(username="u", password="p")
    assert failure(await store.pull(f"{registry.name}/a:1"))[1].endswith(": no basic auth credentials")
    wrong = Credentials(username="u", password="x")
    assert failure(await store.pull(f"{registry.name}/a:1", auth=wrong)) == (
        401, "unauthorized: authentication required",
    )  # fmt: skip
    assert texts(await store.pull(f"{registry.name}/a:1", auth=user))[-1].startswith("Status: Downloaded")


async def test_tokens(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small())
    bearer(registry)
    await store.pull(f"{registry.name}/a:1")
    assert registry.tokens == 1
    assert registry.asked[1].query["scope"] == "repository:a:pull"


async def test_a_mirror_goes_first_and_may_fail(tmp_path: Path) -> None:
    mirror = FakeRegistry()
    async with mirror.served():
        mirror.add("library/a", "1", small())
        async with World(tmp_path, registry_mirrors=("http://localhost:1", mirror.url)).store() as store:
            assert texts(await store.pull("a:1"))[0] == "1 Pulling from library/a"
            assert (await store.resolve("a:1")).repo_tags == ("a:1",)
            code, text = failure(await store.pull("b:1"))
            assert code == 500
            assert text.startswith('Get "https://registry-1.docker.io/v2/library/b/manifests/1": dial tcp')


async def test_who_spoke_tls_is_not_asked_without(store: Store, tmp_path: Path) -> None:
    async with FakeRegistry().served(Authority(tmp_path).server()) as registry:
        assert failure(await store.pull(f"{registry.name}/a:1"))[0] == 404
        registry.add("a", "1", small())
        await store.pull(f"{registry.name}/a:1")


async def test_two_who_pull_the_same_see_the_same(store: Store, registry: FakeRegistry) -> None:
    registry.add("a", "1", small(content=os.urandom(3_000_000)))
    registry.add("b", "1", small(content=b"other", below=b"below"))
    one, two = await asyncio.gather(*(store.pull(f"{registry.name}/a:1") for _ in range(2)))
    assert sorted(text for text in texts(one) if "Pull complete" in text) == sorted(
        text for text in texts(two) if "Pull complete" in text
    )
    fetched = [path for path in registry.paths() if "/blobs/" in path]
    assert len(fetched) == len(set(fetched)) == 2


async def test_an_image_that_was_loaded_is_not_pulled_again(store: Store, registry: FakeRegistry) -> None:
    image = small("a:1")
    await store.load(images.docker_archive(image))
    digest = registry.add("a", "1", image)
    lines = await store.pull(f"{registry.name}/a:1")
    assert len(lines) == 3
    assert not [path for path in registry.paths() if "/blobs/" in path]
    assert (await store.resolve("a:1")).repo_digests == (f"{registry.name}/a@{digest}",)


async def test_nothing_is_left_of_a_pull_that_failed(store: Store, registry: FakeRegistry) -> None:
    image = small(below=b"below")
    document = registry.manifest("a", image)
    registry.blobs[document["layers"][1]["digest"]] = b"x" * document["layers"][1]["size"]
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    code, text = failure(await store.pull(f"{registry.name}/a:1"))
    assert (code, text) == (500, f"filesystem layer verification failed for digest {document['layers'][1]['digest']}")
    with pytest.raises(NotFound):
        await store.resolve(f"{registry.name}/a:1")
    assert store.leftovers() == []
    assert store.blobs() <= {document["layers"][0]["digest"][7:]}  # that one is good, and may wait for the next pull
    assert document["layers"][1]["digest"][7:] not in [path.name for path in store.partial()]
