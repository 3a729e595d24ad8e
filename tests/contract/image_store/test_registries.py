"""What pulls and pushes come to. A store that has no registries says so: error kind `not_implemented`.

The registry is a simulated one on loopback: the store has to run on this host.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.image_store import PullRequest, PushRequest, RemoveRequest, ResolveRequest
from shared.errors import NotFound, NotImplementedYet
from tests.support.fake_registry import DOCKER_MANIFEST, OCI_MANIFEST, FakeRegistry, error
from tools import images

Lines = list[dict[str, Any]]
Transfer = Callable[..., Awaitable[bytes]]
Load = Callable[..., Awaitable[Lines]]
Ask = Callable[..., Awaitable[Lines | None]]
pytestmark = pytest.mark.parties("real")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().served() as made:
        yield made


@pytest.fixture
def ask(bus: Bus, transfer: Transfer) -> Ask:
    """Pulls or pushes; the lines of the answer, None from a store that has no registries."""

    async def run(operation: Any, request: Any) -> Lines | None:
        try:
            offer = await bus.call(operation, request)
        except NotImplementedYet:
            return None
        return [json.loads(line) for line in (await transfer(offer)).splitlines() if line]

    return run


async def missing(bus: Bus, reference: str) -> bool:
    try:
        await bus.call(image_store.RESOLVE, ResolveRequest(reference=reference))
    except NotFound:
        return True
    return False


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, OCI_MANIFEST])
async def test_a_pull(bus: Bus, ask: Ask, registry: FakeRegistry, made: images.Image, kind: str) -> None:
    digest = registry.add("a", "1", made, media_type=kind)
    name = f"{registry.name}/a:1"
    lines = await ask(image_store.PULL, PullRequest(reference=name))
    if lines is None:
        assert await missing(bus, name)
        return
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}"
    image = await bus.call(image_store.RESOLVE, ResolveRequest(reference=name))
    assert (image.id, image.repo_digests) == (made.id, (f"{registry.name}/a@{digest}",))
    again = await ask(image_store.PULL, PullRequest(reference=name))
    assert again is not None
    assert again[-1]["status"] == f"Status: Image is up to date for {name}"
    await bus.call(image_store.REMOVE, RemoveRequest(reference=name, force=True))


async def test_a_push(bus: Bus, ask: Ask, load: Load, registry: FakeRegistry, made: images.Image, name: str) -> None:
    full = f"{registry.name}/{name}:1"
    await load(images.docker_archive(images.Image(made.layers, made.config, (full,))))
    lines = await ask(image_store.PUSH, PushRequest(reference=full))
    if lines is None:
        assert registry.manifests == {}
    else:
        media_type, document = registry.manifests[name, "1"]
        manifest = json.loads(document)
        assert lines[-1]["aux"]["Digest"] == images.digest(document)
        assert manifest["config"]["digest"] == made.id
        assert manifest.get("mediaType", media_type) == media_type
        assert {each["digest"] for each in manifest["layers"]} <= registry.blobs.keys()
    await bus.call(image_store.REMOVE, RemoveRequest(reference=full, force=True))


def _other_layer(registry: FakeRegistry, document: dict[str, Any]) -> None:
    registry.blobs[document["layers"][0]["digest"]] = b"other"


def _wrong_size(registry: FakeRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["size"] += 1


def _foreign(registry: FakeRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    document["layers"][0]["urls"] = ["http://127.0.0.1:1/x"]


def _other_image(registry: FakeRegistry, document: dict[str, Any]) -> None:
    layer = images.compress(images.tar([images.entry("other", b"x")]), "gzip")
    document["layers"][0] |= registry.add_blob("a", layer)


def _too_many_layers(registry: FakeRegistry, document: dict[str, Any]) -> None:
    document["layers"] *= 10_000


def _no_manifest(registry: FakeRegistry, document: dict[str, Any]) -> None:
    document["mediaType"] = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize("spoil", [_other_layer, _wrong_size, _foreign, _other_image, _too_many_layers, _no_manifest])
async def test_a_registry_that_lies(
    bus: Bus, ask: Ask, registry: FakeRegistry, made: images.Image, spoil: Callable[..., None]
) -> None:
    document = registry.manifest("a", made)
    spoil(registry, document)
    registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
    name = f"{registry.name}/a:1"
    lines = await ask(image_store.PULL, PullRequest(reference=name))
    assert lines is None or lines[-1]["error"]
    assert await missing(bus, name)


async def test_a_registry_that_has_enough_of_it(bus: Bus, ask: Ask, registry: FakeRegistry) -> None:
    async def refuse(request: Any) -> Any:
        return error(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.")

    registry.override["GET", "/v2/a/manifests/1"] = refuse
    name = f"{registry.name}/a:1"
    lines = await ask(image_store.PULL, PullRequest(reference=name))
    assert lines is None or "toomanyrequests: You have reached your pull rate limit." in lines[-1]["error"]
    assert await missing(bus, name)
