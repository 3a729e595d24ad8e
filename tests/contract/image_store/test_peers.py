"""What image stores of other hosts ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.bus import Bus
from shared.contracts import image_store
from shared.contracts.image_store import HoldsRequest, ReadRequest
from shared.contracts.peers import PIECE_BYTES
from shared.errors import InvalidArgument, NotFound
from tools import images
from tools.images import docker_archive

Load = Callable[..., Awaitable[list[dict[str, Any]]]]
MISSING = images.digest(b"nobody has this")


@pytest.mark.parties("real")
async def test_who_has_what(bus: Bus, load: Load, made: images.Image, name: str) -> None:
    await load(docker_archive(made))
    layer = images.digest(made.layers[0])
    reply = await bus.call(image_store.HOLDS, HoldsRequest(digests=(layer, MISSING, made.id)))
    assert reply.digests == (layer, made.id)
    with pytest.raises(InvalidArgument):
        await bus.call(image_store.HOLDS, HoldsRequest(digests=("sha256:../../x",)))


@pytest.mark.parties("real")
async def test_a_blob_in_pieces(bus: Bus, load: Load, name: str) -> None:
    layer = images.tar([images.entry("file", name.encode() * 30_000)])
    made = images.Image((layer,), {}, (f"{name}:1",))
    await load(docker_archive(made))
    digest, data = images.digest(layer), b""
    while True:
        piece = await bus.call(image_store.READ, ReadRequest(digest=digest, offset=len(data)))
        assert piece.size == len(layer)
        if not piece.data:
            break
        data += piece.data
    assert images.digest(data) == digest
    assert (await bus.call(image_store.READ, ReadRequest(digest=digest, offset=5, length=3))).data == layer[5:8]
    config = await bus.call(image_store.READ, ReadRequest(digest=made.id))
    assert images.digest(config.data) == made.id


@pytest.mark.parties("real")
async def test_what_is_no_piece_of_a_blob(bus: Bus, load: Load, made: images.Image) -> None:
    await load(docker_archive(made))
    with pytest.raises(NotFound):
        await bus.call(image_store.READ, ReadRequest(digest=MISSING))
    for offset, length in ((-1, 1), (0, -1), (0, PIECE_BYTES + 1)):
        with pytest.raises(InvalidArgument):
            await bus.call(image_store.READ, ReadRequest(digest=made.id, offset=offset, length=length))
    with pytest.raises(InvalidArgument):
        await bus.call(image_store.READ, ReadRequest(digest="../../../etc/passwd"))
