"""Image stores of several hosts, each a process with its own disk, on a broker that enforces their permissions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from shared.bus.transport import Delivery
from shared.contracts import image_store
from shared.contracts.common import Descriptor
from shared.contracts.image_store import FetchRequest
from shared.contracts.peers import FetchReply
from shared.errors import NotFound, Unavailable
from tests.integration.services.image_store.conftest import Node, serving
from tests.support.broker import Broker
from tests.support.parties import REAL, REPLACEMENT
from tests.support.waiting import until
from tools import images
from tools.images import docker_archive, entry, tar

PATIENCE = 120
LAYERS = tuple(tar([entry(f"file{number}", os.urandom(24 << 20))]) for number in range(2))
IMAGE = images.Image(LAYERS, {}, ("peers:1",))
WHOLE = sum(len(layer) for layer in LAYERS)


async def wanted(node: Node, **more: object) -> FetchRequest:
    manifest = (await node.resolve("peers:1")).descriptor
    assert manifest is not None
    return FetchRequest(manifest=manifest, names=("peers:1",), **more)  # type: ignore[arg-type]


async def fetch(node: Node, asked: FetchRequest) -> FetchReply:
    return await node.bus.call(image_store.FETCH, asked)


def come(node: Node) -> int:
    """The bytes that have come."""
    return sum(
        path.stat().st_size for path in [*(node.root / "partial").iterdir(), *(node.root / "blobs/sha256").iterdir()]
    )


@asynccontextmanager
async def reading(node: Node) -> AsyncIterator[Callable[[], int]]:
    """How many pieces the host is asked for."""
    asked: list[Delivery] = []
    subject = image_store.READ.subject(node.service.node)
    subscription = await node.bus.transport.subscribe(subject, asked.append)
    yield lambda: len(asked)
    await subscription.drain()


async def test_from_two_hosts_to_a_third(nodes: tuple[Node, ...]) -> None:
    one, two, three = nodes
    await asyncio.gather(one.load(docker_archive(IMAGE)), two.load(docker_archive(IMAGE)))
    async with reading(one) as from_one, reading(two) as from_two:
        assert await fetch(three, await wanted(one)) == FetchReply(image_id=IMAGE.id)
        assert min(from_one(), from_two()) > 10
    assert (await three.resolve("peers:1")).id == IMAGE.id
    for blob in (three.root / "blobs/sha256").iterdir():
        assert images.digest(blob.read_bytes()) == f"sha256:{blob.name}"
    assert list((three.root / "partial").iterdir()) == []


SMALL = images.Image(tuple(tar([entry(f"f{number}", os.urandom(5 << 20))]) for number in range(2)), {}, ("peers:1",))


@pytest.mark.parametrize(("giving", "taking"), [(REAL, REPLACEMENT), (REPLACEMENT, REAL), (REPLACEMENT, REPLACEMENT)])
async def test_between_implementations(broker: Broker, giving: str, taking: str) -> None:
    """Ours and tests/foreign/image_store: by ranges, from two hosts at once, the same image with the same bytes."""
    async with serving(broker, kind=giving) as one, serving(broker, kind=giving) as two:
        await asyncio.gather(one.load(docker_archive(SMALL)), two.load(docker_archive(SMALL)))
        async with serving(broker, kind=taking) as three, reading(one) as from_one, reading(two) as from_two:
            asked = await wanted(one)
            assert await fetch(three, asked) == FetchReply(image_id=SMALL.id)
            assert min(from_one(), from_two()) > 3
            assert from_one() + from_two() >= 40, "pieces of 256 KiB"
            found = await three.resolve("peers:1")
            assert (found.id, found.diff_ids) == (SMALL.id, tuple(map(images.digest, SMALL.layers)))
            before = from_one(), from_two()
            assert await fetch(three, asked) == FetchReply(image_id=SMALL.id)
            assert (from_one(), from_two()) == before, "it is here already"
            missing = Descriptor(media_type=asked.manifest.media_type, digest=images.digest(b"nothing"), size=5)
            with pytest.raises(NotFound):
                await fetch(three, FetchRequest(manifest=missing))


async def test_one_of_them_dies_meanwhile(nodes: tuple[Node, ...]) -> None:
    one, two, three = nodes
    await asyncio.gather(one.load(docker_archive(IMAGE)), two.load(docker_archive(IMAGE)))
    asked = await wanted(one)
    fetching = asyncio.ensure_future(fetch(three, asked))
    await until(lambda: come(three) > 0, PATIENCE)
    await one.kill()
    assert await fetching == FetchReply(image_id=IMAGE.id)


async def test_who_fetches_dies_and_goes_on(nodes: tuple[Node, ...]) -> None:
    one, _, three = nodes
    await one.load(docker_archive(IMAGE))
    asked = await wanted(one, nodes=(one.service.node,))
    fetching = asyncio.ensure_future(fetch(three, asked))
    await until(lambda: come(three) > WHOLE // 2, PATIENCE)
    await three.kill()
    before = come(three)
    await three.start()
    assert come(three) >= before  # neither what is whole nor what came in part was collected
    assert await fetching == FetchReply(image_id=IMAGE.id)  # the call is made again: it may be
    assert await fetch(three, asked) == FetchReply(image_id=IMAGE.id)


async def test_all_who_have_it_die(nodes: tuple[Node, ...]) -> None:
    one, two, three = nodes
    await one.load(docker_archive(IMAGE))
    asked = await wanted(one)
    await one.kill()
    with pytest.raises((NotFound, Unavailable)):
        await fetch(three, asked)
    await one.start()
    assert (await fetch(two, asked)).image_id == IMAGE.id
