from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from shared.bus import MemoryBroker
from shared.contracts import image_store as contract
from shared.contracts.common import Platform, Ref
from shared.contracts.trees import SyncOutRequest
from shared.errors import InvalidArgument, NotFound
from tests.support.image_store import Store, World, small
from tools.images import docker_archive, oci_layout


async def test_inspect_shows_dockers_storage_driver(store: Store) -> None:
    await store.load(docker_archive(small("a:1", below=b"below")))
    data = (await store.resolve("a:1")).graph_driver
    assert (Path(data["UpperDir"]) / "file").exists()
    assert (Path(data["LowerDir"]) / "below").exists()


async def test_lists_are_newest_first_and_slim(store: Store) -> None:
    await store.load(docker_archive(small("a:1", Labels={"k": "v"}, Cmd=["sh"])))
    reply = await store.call(contract.LIST, contract.ListRequest(shared_size=True))
    (image,) = reply.images
    assert (image.repo_tags, image.config.labels, image.config.cmd, image.history) == (("a:1",), {"k": "v"}, None, ())
    assert reply.shared_sizes == {image.id: 0}
    assert (await store.call(contract.LIST, contract.ListRequest(filters={"dangling": ("true",)}))).images == ()


async def test_tagging(store: Store) -> None:
    image = small("a:1")
    await store.load(docker_archive(image))
    store.events.clear()
    await store.call(contract.TAG, contract.TagRequest(source="a:1", repository="host:5000/b", tag="2"))
    assert (await store.resolve("host:5000/b:2")).id == image.id
    assert store.told() == [("tag", "host:5000/b:2")]
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        await store.call(contract.TAG, contract.TagRequest(source="nope", repository="b"))
    with pytest.raises(InvalidArgument, match="must be lowercase"):
        await store.call(contract.TAG, contract.TagRequest(source="a:1", repository="B"))


async def test_a_snapshot_comes_with_what_a_container_needs(store: Store) -> None:
    image = small("a:1", Cmd=["sh"])
    await store.load(docker_archive(image))
    snapshot = await store.prepare("c1", "a:1")
    assert (snapshot.key, snapshot.image.id, snapshot.image.config.cmd) == ("c1", image.id, ("sh",))
    assert snapshot.upper in ",".join(snapshot.mounts[0].options)
    assert await store.call(contract.SNAPSHOT, Ref(id="c1")) == snapshot
    await store.call(contract.RELEASE, Ref(id="c1"))
    await store.call(contract.RELEASE, Ref(id="c1"))
    with pytest.raises(NotFound, match="no snapshot c1"):
        await store.call(contract.SNAPSHOT, Ref(id="c1"))
    assert not Path(snapshot.upper).exists()


async def test_only_an_image_that_is_there_can_be_prepared(store: Store) -> None:
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        await store.prepare("c1", "nope")
    await store.load(docker_archive(small("a:1")))
    asked = contract.PrepareRequest(key="c1", reference="a:1", platform=Platform(architecture="arm64"))
    with pytest.raises(NotFound, match="does not match the specified platform"):
        await store.call(contract.PREPARE, asked)
    with pytest.raises(InvalidArgument, match="key:"):
        await store.prepare("../x", "a:1")


async def test_preparing_is_not_held_up_by_a_load(store: Store) -> None:
    await store.load(docker_archive(small("a:1")))
    loading = asyncio.ensure_future(store.load(docker_archive(small("b:1", content=bytes(40 << 20)))))
    longest = 0.0
    number = 0
    while not loading.done():
        began = time.monotonic()
        await store.prepare(f"c{number}", "a:1")
        longest, number = max(longest, time.monotonic() - began), number + 1
    assert await loading == [{"stream": "Loaded image: b:1\n"}]
    assert number > 3
    assert longest < 0.5


async def test_every_answer_is_json(store: Store) -> None:
    offer = await store.call(contract.LOAD, contract.LoadRequest())
    answer = await store.transfer(offer, oci_layout(small("a:1")))
    assert all(json.loads(line) for line in answer.splitlines())


async def test_a_writable_layer_goes_to_another_host(tmp_path: Path) -> None:
    broker = MemoryBroker()
    worlds = [World(tmp_path / node, node, broker) for node in ("node1", "node2")]
    async with worlds[0].store() as here, worlds[1].store() as there:
        uppers = []
        for each in (here, there):
            await each.load(docker_archive(small("a:1")))
            uppers.append(Path((await each.prepare("c1", "a:1")).upper))
        (uppers[0] / "file").write_text("content")
        request = SyncOutRequest(key="c1", node="node2", first=True)
        assert (await here.call(contract.SYNC_OUT, request)).changed == 2  # the file, and the directory it is in
        assert (uppers[1] / "file").read_text() == "content"
        with pytest.raises(NotFound, match="no snapshot c2"):
            await here.call(contract.SYNC_OUT, SyncOutRequest(key="c2", node="node2"))
        await there.call(contract.RELEASE, Ref(id="c1"))
        with pytest.raises(NotFound, match="no snapshot c1"):
            await here.call(contract.SYNC_OUT, request)
