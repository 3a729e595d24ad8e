from __future__ import annotations

import asyncio
import io
import os
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.image_store.operations import look
from shared.contracts import image_store as contract
from shared.errors import NotFound
from tests.support.image_store import Store, small
from tests.support.waiting import until
from tools import images
from tools.images import directory, docker_archive, entry, tar


async def test_looking(store: Store) -> None:
    await store.load(docker_archive(small("a:1", content=b"text")))
    image = await store.call(contract.RESOLVE, contract.ResolveRequest(reference="a:1"))
    asked = contract.LookRequest(image=image.id, paths=("file", "/none/x"), patterns=("f*",), read=("file",))
    reply = await store.call(contract.LOOK, asked)
    assert [(each.path, each.kind) for each in reply.found] == [("file", "file"), ("none/x", "")]
    assert (reply.matches, reply.read) == ((("file",),), (b"text",))
    nothing = await store.call(contract.LOOK, contract.LookRequest(paths=("/a",)))
    assert (nothing.found[0].path, nothing.found[0].above) == ("a", ())
    with pytest.raises(NotFound):
        await store.call(contract.LOOK, contract.LookRequest(image="sha256:" + "0" * 64))


async def test_contents(store: Store) -> None:
    await store.load(docker_archive(small("a:1", content=b"text")))
    image = await store.call(contract.RESOLVE, contract.ResolveRequest(reference="a:1"))
    answer = await store.transfer(await store.call(contract.CONTENTS, contract.ContentsRequest(image=image.id)))
    with tarfile.open(fileobj=io.BytesIO(answer)) as archive:
        assert archive.getnames() == ["file"]
    refused = contract.ContentsRequest(image=image.id, path="none")
    assert b"no such file" in await store.transfer(await store.call(contract.CONTENTS, refused))


def opened() -> Counter[str]:
    """What the open descriptors of this process are of."""
    files = Path("/proc/self/fd")
    return Counter(os.readlink(file) for file in files.iterdir() if os.path.lexists(file))


async def test_who_leaves_leaves_no_descriptor_open(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that walks the tree opens more of them until it notices."""
    layer = tar([directory("a"), directory("a/b"), entry("a/b/f", b"x")])
    await store.load(docker_archive(images.Image((layer,), {}, ("a:1",))))
    image = await store.resolve("a:1")
    walking, go, some = threading.Event(), threading.Event(), look._some

    def slow(archive: Iterator[bytes]) -> bytes:
        walking.set()
        go.wait(60)
        return some(archive)

    monkeypatch.setattr(look, "_some", slow)
    before = opened()

    async def write(data: bytes) -> None:
        """To nobody."""

    reading = asyncio.ensure_future(
        look.contents(store.service._images, contract.ContentsRequest(image=image.id), write)
    )
    await asyncio.to_thread(walking.wait, 60)
    reading.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: opened() <= before)  # what was loaded may still be synced, before and after


async def test_children_and_names(store: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    parent = await store.call(contract.RESOLVE, contract.ResolveRequest(reference="a:1"))
    asked = contract.ChildRequest(parent=parent.id, created_by="STEP")
    assert (await store.call(contract.CHILD, asked)).image is None
    made = await store.call(contract.COMMIT, contract.CommitRequest(parent=parent.id, created_by="STEP"))
    found = (await store.call(contract.CHILD, asked)).image
    assert found is not None
    assert found.id == made.image.id
    reply = await store.call(contract.NAMES, contract.NamesRequest(names=("a", "b/c:2")))
    assert reply.names == (("a", "latest"), ("b/c", "2"))
