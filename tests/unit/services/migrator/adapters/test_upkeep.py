"""What nobody coordinates any more is settled."""

from __future__ import annotations

import asyncio

from shared.contracts import moving
from shared.errors import Unavailable
from tests.support.moving import Hosts


async def settled(pair: Hosts) -> None:
    async with asyncio.timeout(60):
        while await pair.unfinished():  # noqa: ASYNC110  # records, and two processes
            await asyncio.sleep(0.01)


async def test_what_has_no_record_goes_when_a_migrator_starts(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    for node in (pair.one, pair.two):
        await pair.kill(node)
    held = await pair.one.call(moving.DEPART, moving.DepartRequest(id=id, migration="m", node="node2"))
    await pair.one.call(moving.HOLD, moving.HoldRequest(id=id, migration="m", stop=True))
    await pair.two.call(moving.RECEIVE, moving.ReceiveRequest(id=id, migration="m", spec=held.spec))
    assert len(await pair.unfinished()) > 1
    for node in (pair.one, pair.two):
        await pair.begin(node)
    await settled(pair)
    await pair.one.in_state(id, "running")
    assert pair.running(id) == ["node1"]


async def test_what_cannot_be_done_now_is_done_later(pair: Hosts) -> None:
    id = await pair.one.run("sleep", name="web")
    held = await pair.one.call(moving.DEPART, moving.DepartRequest(id=id, migration="m", node="node2"))
    await pair.kill(pair.two)
    await pair.two.call(moving.RECEIVE, moving.ReceiveRequest(id=id, migration="m", spec=held.spec))
    pair.two.image_store.fail["release"] = [Unavailable("away")]
    await pair.begin(pair.two)
    await pair.one.call(moving.STAY, moving.MoveRef(id=id, migration="m"))
    await settled(pair)
    assert pair.running(id) == ["node1"]
