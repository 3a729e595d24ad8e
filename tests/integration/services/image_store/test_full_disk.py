"""A disk without space: what cannot be written is refused with the reason; removing, and starting, still work."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared import hostmounts
from shared.contracts import image_store
from shared.contracts.common import Ref
from shared.contracts.image_store import PrepareRequest, RemoveRequest
from tests.integration.services.image_store.conftest import Node
from tools import images
from tools.images import docker_archive, entry, tar

MEGABYTE = 1 << 20


@pytest.fixture
async def small_disk(node: Node) -> AsyncIterator[Node]:
    """The store's folder is a file system of 16 MB."""
    await node.kill()
    hostmounts.mount("tmpfs", node.root, "tmpfs", 0, "size=16m")
    await node.start()
    yield node
    await node.kill()


def image(name: str, size: int) -> images.Image:
    return images.Image((tar([entry(name, os.urandom(size))]),), {}, (f"{name}:1",))


def fill(node: Node) -> Path:
    """Takes all the space that is left."""
    path = node.root / "filler"
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


@pytest.mark.parametrize("size", [20 * MEGABYTE, 9 * MEGABYTE])
async def test_an_image_that_does_not_fit(small_disk: Node, size: int) -> None:
    """Already as an archive, or only unpacked."""
    node = small_disk
    await node.load(docker_archive(image("fits", MEGABYTE)))
    before = sorted(path.name for path in (node.root / "blobs/sha256").iterdir())
    (line,) = await node.load(docker_archive(image("large", size)))
    assert line["errorDetail"] == {"code": 507, "message": "cannot write: No space left on device"}
    assert sorted(path.name for path in (node.root / "blobs/sha256").iterdir()) == before
    assert list((node.root / "ingest").iterdir()) == []
    assert await node.load(docker_archive(image("other", MEGABYTE))) == [{"stream": "Loaded image: other:1\n"}]


async def test_on_a_full_disk_containers_start_and_images_go(small_disk: Node) -> None:
    node = small_disk
    for name in ("kept", "gone"):
        await node.load(docker_archive(image(name, MEGABYTE)))
    filler = fill(node)
    await node.kill()
    await node.start()
    await node.bus.call(image_store.PREPARE, PrepareRequest(key="c1", reference="kept:1"))
    await node.bus.call(image_store.RELEASE, Ref(id="c1"))
    reply = await node.bus.call(image_store.REMOVE, RemoveRequest(reference="gone:1"))
    assert reply.removed
    assert (await node.resolve("kept:1")).repo_tags == ("kept:1",)
    filler.unlink()
    assert await node.load(docker_archive(image("new", MEGABYTE))) == [{"stream": "Loaded image: new:1\n"}]
