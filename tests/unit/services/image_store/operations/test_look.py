from __future__ import annotations

import io
import tarfile

import pytest

from shared.contracts import image_store as contract
from shared.errors import NotFound
from tests.support.image_store import Store, small
from tools.images import docker_archive


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
