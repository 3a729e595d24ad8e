from __future__ import annotations

import asyncio
import json

import pytest

from shared.contracts import image_store as contract
from shared.contracts.common import Ref
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import ApplyRequest, CommitRequest
from shared.errors import Conflict, InvalidArgument, NotFound, ResourceExhausted
from tests.support.image_store import Store, World, lines, small
from tools.images import digest, docker_archive, entry, tar


async def prepared(store: Store, key: str = "c1") -> contract.Snapshot:
    await store.load(docker_archive(small("base:1", Cmd=["sh"])))
    return await store.prepare(key, "base:1")


def write(store: Store, key: str, name: str, data: bytes) -> None:
    (store.root / "snapshots" / key / "upper" / name).write_bytes(data)


async def test_an_image_of_a_snapshot(store: Store) -> None:
    snapshot = await prepared(store)
    write(store, "c1", "new", b"12345")
    own = ContainerConfig(cmd=("sh",), hostname="h")
    request = CommitRequest(
        key="c1", config=own, container="c" * 64, container_config=own, comment="why", repository="made", tag="1"
    )
    done = await store.call(contract.COMMIT, request)
    image = await store.resolve("made:1")
    assert (done.name, done.image.id, image.parent) == ("made:1", image.id, snapshot.image.id)
    assert (len(image.diff_ids), image.size - snapshot.image.size) == (2, 5)
    assert (image.history[-1].comment, image.history[-1].size, image.history[-1].created_by) == ("why", 5, "sh")
    assert store.told()[-2:] == [("create", image.id), ("tag", "made:1")]
    document = json.loads((store.root / "blobs/sha256" / image.id[7:]).read_bytes())
    assert (document["container"], document["container_config"]["Hostname"]) == ("c" * 64, "h")
    write(store, "c1", "new", b"the container goes on")
    layer = store.root / "layers" / image.chain_id[7:] / "diff"
    assert (layer / "new").read_bytes() == b"12345"
    assert store.leftovers() == []
    saved = await store.save("made:1")
    assert len(lines(json.dumps(await store.load(saved)).encode())) == 1


async def test_an_image_with_nothing_new(store: Store) -> None:
    snapshot = await prepared(store)
    done = await store.call(contract.COMMIT, CommitRequest(key="c1"))
    assert done.image.diff_ids == snapshot.image.diff_ids
    assert done.image.history[-1].empty_layer
    assert done.name == ""


async def test_a_snapshot_given_up_becomes_the_layer(store: Store) -> None:
    await prepared(store)
    write(store, "c1", "new", b"1")
    done = await store.call(contract.COMMIT, CommitRequest(key="c1", release=True))
    with pytest.raises(NotFound):
        await store.call(contract.SNAPSHOT, Ref(id="c1"))
    assert (store.root / "layers" / done.image.chain_id[7:] / "diff/new").read_bytes() == b"1"
    again = await store.prepare("c2", done.image.id)
    assert again.image.id == done.image.id


async def test_a_configuration_alone(store: Store) -> None:
    await store.load(docker_archive(small("base:1", Cmd=["sh"])))
    request = CommitRequest(parent="base:1", config=ContainerConfig(user="u"), created_by="USER u", repository="made")
    done = await store.call(contract.COMMIT, request)
    assert (done.image.config.user, done.name) == ("u", "made:latest")
    assert (done.image.history[-1].created_by, done.image.history[-1].empty_layer) == ("USER u", True)


async def test_what_is_refused(store: Store) -> None:
    await prepared(store)
    for wrong, error in (
        (CommitRequest(key="c1", parent="base:1"), InvalidArgument),
        (CommitRequest(key="nope"), NotFound),
        (CommitRequest(parent="nope"), NotFound),
        (CommitRequest(key="c1", repository="UPPER"), InvalidArgument),
        (CommitRequest(key="c1", changes=("RUN x",)), InvalidArgument),
    ):
        with pytest.raises(error):
            await store.call(contract.COMMIT, wrong)
    assert store.leftovers() == []
    await store.call(contract.REMOVE, contract.RemoveRequest(reference="base:1", force=True))
    with pytest.raises(NotFound, match="No such image"):
        await store.call(contract.COMMIT, CommitRequest(key="c1"))


async def test_the_same_layer_twice_is_one(store: Store) -> None:
    await prepared(store)
    write(store, "c1", "new", b"1")
    first, second = await asyncio.gather(
        *(store.call(contract.COMMIT, CommitRequest(key="c1", comment=text)) for text in ("a", "b"))
    )
    assert first.image.id != second.image.id
    assert first.image.chain_id == second.image.chain_id


async def test_a_snapshot_removed_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await prepared(store)
    write(store, "c1", "new", b"1")
    pack = store.service._packer.pack

    async def slow(*arguments: object) -> object:
        packed = await pack(*arguments)  # type: ignore[arg-type]
        await store.call(contract.RELEASE, Ref(id="c1"))
        return packed

    monkeypatch.setattr(store.service._packer, "pack", lambda *a, move, latest: slow(*a, move))
    with pytest.raises(Conflict, match="was removed while it was read"):
        await store.call(contract.COMMIT, CommitRequest(key="c1"))


async def test_more_than_is_allowed(store: Store, world: World) -> None:
    await prepared(store)
    with open(store.root / "snapshots/c1/upper/big", "wb") as file:
        file.truncate(world.settings.max_unpack_bytes + 1)
    with pytest.raises(ResourceExhausted):
        await store.call(contract.COMMIT, CommitRequest(key="c1"))


async def test_it_outlives_its_maker(world: World) -> None:
    async with world.store() as store:
        await prepared(store)
        write(store, "c1", "new", b"1")
        made = await store.call(contract.COMMIT, CommitRequest(key="c1", repository="made"))
    async with world.store() as store:
        image = await store.resolve("made")
        assert (image.id, image.parent) == (made.image.id, made.image.parent)


LAYER = tar([entry("more", b"123")])


async def apply(store: Store, data: bytes = LAYER, **asked: str) -> list[dict[str, object]]:
    return lines(await store.transfer(await store.call(contract.APPLY, ApplyRequest(**asked)), data))  # type: ignore[arg-type]


async def test_an_archive_on_top(store: Store) -> None:
    await store.load(docker_archive(small("base:1", Cmd=["sh"])))
    (line,) = await apply(store, parent="base:1", repository="made", created_by="COPY x")
    image = await store.resolve("made")
    assert line == {"status": image.id}
    assert (image.diff_ids[-1], len(image.diff_ids)) == (digest(LAYER), 2)
    assert (image.history[-1].created_by, image.history[-1].size) == ("COPY x", 3)
    (line,) = await apply(store)
    assert (await store.resolve(str(line["status"]))).diff_ids == (digest(LAYER),)


async def test_an_archive_that_is_none(store: Store) -> None:
    (line,) = await apply(store, b"x" * 2000)
    assert "error" in line
    with pytest.raises(NotFound):
        await apply(store, parent="nope")
    assert store.leftovers() == []


async def test_a_step_of_another_image_has_to_go_on_from_the_parent(store: Store) -> None:
    await store.load(docker_archive(small("base:1", Cmd=["sh"])))
    await store.load(docker_archive(small("other:1", content=b"other")))
    base, other = await store.resolve("base:1"), await store.resolve("other:1")
    with pytest.raises(InvalidArgument, match="does not go on"):
        await store.call(contract.COMMIT, CommitRequest(parent=base.id, origin=other.id))
    with pytest.raises(InvalidArgument, match="only one of them"):
        await store.call(contract.COMMIT, CommitRequest(key="c1", origin=other.id))
    with pytest.raises(NotFound):
        await store.call(contract.COMMIT, CommitRequest(parent=base.id, origin="sha256:" + "0" * 64))
