from __future__ import annotations

import asyncio
import threading

import pytest

from services.image_store.adapters.leases_local import LocalLeases
from services.image_store.operations import serving
from services.image_store.ports import Kept
from shared.contracts import image_store as contract
from shared.contracts.image_store import HoldsRequest, ReadRequest, RemoveRequest
from shared.contracts.peers import PIECE_BYTES, ReadReply
from shared.errors import InvalidArgument, NotFound
from tests.support.image_store import Store, World, small
from tests.support.waiting import until
from tools import images
from tools.images import docker_archive

BELOW = bytes(300_000)
LAYER = small(below=BELOW).layers[0]
DIGEST = images.digest(LAYER)


@pytest.fixture
async def loaded(store: Store) -> Store:
    await store.load(docker_archive(small("a:1", below=BELOW)))
    return store


async def read(store: Store, offset: int = 0, length: int = PIECE_BYTES, digest: str = DIGEST) -> ReadReply:
    return await store.call(contract.READ, ReadRequest(digest=digest, offset=offset, length=length))


async def remove(store: Store) -> None:
    await store.call(contract.REMOVE, RemoveRequest(reference="a:1"))


async def test_what_is_here(loaded: Store) -> None:
    missing = images.digest(b"missing")
    reply = await loaded.call(contract.HOLDS, HoldsRequest(digests=(missing, DIGEST)))
    assert reply.digests == (DIGEST,)
    with pytest.raises(InvalidArgument, match="not a sha256 digest"):
        await loaded.call(contract.HOLDS, HoldsRequest(digests=("../x",)))
    with pytest.raises(InvalidArgument, match="at most 1000"):
        await loaded.call(contract.HOLDS, HoldsRequest(digests=(DIGEST,) * 1001))


async def test_its_bytes(loaded: Store) -> None:
    first, rest = await read(loaded), await read(loaded, PIECE_BYTES)
    assert (first.size, first.data + rest.data) == (len(LAYER), LAYER)
    assert (await read(loaded, 5, 3)).data == LAYER[5:8]
    assert (await read(loaded, len(LAYER) + 5)).data == b""
    with pytest.raises(NotFound):
        await read(loaded, digest=images.digest(b"missing"))
    for offset, length in ((-1, 1), (0, -1), (0, PIECE_BYTES + 1)):
        with pytest.raises(InvalidArgument, match="no piece of a blob"):
            await read(loaded, offset, length)


async def test_what_others_read_stays_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also over a restart; then it goes."""
    async with world.store() as store:
        await store.load(docker_archive(small("a:1", below=BELOW)))
        await store.call(contract.HOLDS, HoldsRequest(digests=(DIGEST,)))
        await remove(store)
        assert store.blobs() == {DIGEST[7:]}
        assert (await read(store)).data == LAYER[:PIECE_BYTES]
    async with world.store() as store:
        assert (await read(store, 9)).data == LAYER[9 : PIECE_BYTES + 9]
        assert store.blobs() == {DIGEST[7:]}
    for path in (world.settings.state_path / "image_store/leases").iterdir():
        path.write_bytes(path.read_bytes().replace(b'"until":1', b'"until":'))  # a long time ago
    async with world.store() as store:
        assert store.blobs() == set()
    monkeypatch.setattr(serving, "HELD_SECONDS", 0.05)
    async with world.store() as store:
        await store.load(docker_archive(small("a:1", below=BELOW)))
        await read(store)
        await remove(store)
        await until(lambda: store.blobs() == set(), 20)


async def test_what_is_held_is_written_down_before_the_answer_and_beside_other_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for a thousand blobs stops nobody else meanwhile."""
    contents = [bytes((number,)) for number in range(20)]
    put, threads = LocalLeases.put, set[threading.Thread]()

    def watched(files: LocalLeases, name: str, kept: Kept) -> None:
        threads.add(threading.current_thread())
        put(files, name, kept)

    async with world.store() as store:
        for number, content in enumerate(contents):
            await store.load(docker_archive(small(f"a:{number}", content=content)))
        monkeypatch.setattr(LocalLeases, "put", watched)
        digests = tuple(f"sha256:{name}" for name in sorted(store.blobs()))
        assert len(digests) >= 20
        assert (await store.call(contract.HOLDS, HoldsRequest(digests=digests))).digests == digests
        assert {path.name for path in (store.root / "leases").iterdir()} == {f"read-{name[7:]}" for name in digests}
        monkeypatch.setattr(serving, "HELD_SECONDS", 1000.0)  # so that it is renewed
        await read(store, digest=digests[0])
    assert threads
    assert threading.main_thread() not in threads


async def test_reading_while_images_come_and_go(loaded: Store) -> None:
    """Whoever was told that a blob is here can read all of it, whatever is removed, loaded and pruned meanwhile."""
    stop = asyncio.Event()

    async def churn() -> None:
        while not stop.is_set():
            await remove(loaded)
            await loaded.call(contract.PRUNE, contract.PruneRequest())
            await loaded.load(docker_archive(small("a:1", below=BELOW)))

    churning = asyncio.ensure_future(churn())
    try:
        for _ in range(20):
            await loaded.call(contract.HOLDS, HoldsRequest(digests=(DIGEST,)))
            assert (await read(loaded)).data + (await read(loaded, PIECE_BYTES)).data == LAYER
    finally:
        stop.set()
        await churning
