from __future__ import annotations

import json
from typing import Any

import pytest

from shared.bus import Bus
from shared.contracts import builder
from shared.contracts.base import Empty
from shared.streams import Streams
from tests.support.builder_world import transfer
from tools.images import entry, tar


async def lines(bus: Bus, streams: Streams, dockerfile: bytes, **request: Any) -> list[dict[str, Any]]:
    """What a build shows; it ends as the contract says."""
    offer = await bus.call(builder.BUILD, builder.BuildRequest(**request))
    answer = await transfer(streams, offer, tar([entry("Dockerfile", dockerfile)]))
    assert answer.endswith(b"\r\n" + builder.END)
    return [json.loads(line) for line in answer.splitlines() if line]


async def test_a_build_ends_with_the_mark(bus: Bus, streams: Streams) -> None:
    assert await lines(bus, streams, b"FROM scratch\n")


@pytest.mark.parties("real")
@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        (b"FROM a\nFOO\n", "dockerfile parse error on line 2: unknown instruction: FOO"),
        (b"#\n", "failed to parse Dockerfile: file with no instructions"),
        (b"FROM a AS x\nFROM a AS x\n", "x stage name already used"),
        (b"FROM scratch\n", "No image was generated. Is your Dockerfile empty?"),
    ],
)
async def test_an_error_is_the_last_line(bus: Bus, streams: Streams, dockerfile: bytes, why: str) -> None:
    assert (await lines(bus, streams, dockerfile))[-1]["error"] == why


async def test_what_is_not_there_is_no_error(bus: Bus) -> None:
    assert await bus.call(builder.CANCEL, builder.CancelRequest(id="none")) == Empty()
    assert isinstance(await bus.call(builder.PRUNE, builder.PruneRequest(filters={"id": ("none",)})), object)
    assert isinstance((await bus.call(builder.USAGE, Empty())).entries, tuple)
