"""Passes between two services on two hosts."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.bus import MemoryBroker
from shared.contracts.common import StreamOffer
from shared.contracts.trees import SyncOutRequest, SyncReply
from shared.errors import DataLoss, FailedPrecondition, Unavailable
from shared.service import Kernel
from shared.testing import kernel
from shared.treesync import Passing, records, source
from tests.support.waiting import until


class Pair:
    def __init__(self, sender: Kernel, receiver: Kernel, folder: Path) -> None:
        self.sender, self.receiver = sender, receiver
        self.sending, self.receiving = (Passing(each.streams, each.tasks) for each in (sender, receiver))
        self.tree, self.copy = folder / "tree", folder / "copy"

    async def offer(self) -> StreamOffer:
        return self.receiver.streams.offer(self.receiving.receiver(str(self.copy), True), framed=False)

    async def sync(self, first: bool = False, last: bool = False) -> SyncReply:
        request = SyncOutRequest(key="tree", node="node2", first=first, last=last)
        return await self.sending.send(request, str(self.tree), self.offer)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        broker = MemoryBroker()
        sender = await stack.enter_async_context(kernel("volume", tmp_path / "1", broker, node="node1"))
        receiver = await stack.enter_async_context(kernel("volume", tmp_path / "2", broker, node="node2"))
        made = Pair(sender, receiver, tmp_path)
        made.tree.mkdir()
        made.copy.mkdir()
        yield made


async def test_first_all_then_what_changed(pair: Pair) -> None:
    content = bytes(range(256)) * 40_000
    (pair.tree / "large").write_bytes(content)
    all_of_it = await pair.sync(first=True)
    assert all_of_it.bytes > len(content)
    assert (pair.copy / "large").read_bytes() == content
    (pair.tree / "small").write_text("small")
    some = await pair.sync(last=True)
    assert some.bytes < 10_000
    assert (pair.copy / "small").read_text() == "small"
    pair.sending.end("tree")
    assert (await pair.sync()).bytes > len(content)


async def test_nobody_is_called_when_nothing_has_changed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "TICK", 0)
    offers = []
    offer = pair.offer

    async def counted() -> StreamOffer:
        offers.append(1)
        return await offer()

    monkeypatch.setattr(pair, "offer", counted)
    (pair.tree / "file").write_text("one")
    await pair.sync(first=True)
    assert await pair.sync(last=True) == SyncReply()
    assert len(offers) == 1
    (pair.tree / "file").unlink()
    assert (await pair.sync(last=True)).changed > 0
    assert not (pair.copy / "file").exists()
    await pair.sync(first=True)
    assert len(offers) == 3


async def test_a_receiver_without_a_place(pair: Pair) -> None:
    pair.copy.rmdir()
    (pair.tree / "large").write_bytes(bytes(range(256)) * 40_000)
    with pytest.raises(DataLoss, match="cannot write"):
        await pair.sync()
    pair.copy.mkdir()
    await pair.sync()
    assert (pair.copy / "large").stat().st_size == 256 * 40_000


async def test_a_sender_without_a_tree(pair: Pair) -> None:
    pair.tree.rmdir()
    with pytest.raises(FailedPrecondition, match="cannot read"):
        await pair.sync()


async def test_a_receiver_that_is_gone(pair: Pair) -> None:
    offer = await pair.offer()
    await pair.receiver.streams.close()
    request = SyncOutRequest(key="tree", node="node2")

    async def old() -> StreamOffer:
        return offer

    with pytest.raises(Unavailable):
        await pair.sending.send(request, str(pair.tree), old)


async def test_a_sender_that_is_cancelled_or_fails_lets_the_receiver_go(pair: Pair) -> None:
    (pair.tree / "large").write_bytes(bytes(range(256)) * 400_000)
    sending = asyncio.ensure_future(pair.sync())
    await until(lambda: (pair.copy / "large").exists(), 60)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await until(lambda: pair.receiver.streams.at_rest, 60)
    shutil.rmtree(pair.tree)
    with pytest.raises(FailedPrecondition, match="cannot read"):
        await pair.sync()
    await until(lambda: pair.receiver.streams.at_rest, 60)


@pytest.mark.parametrize(
    "node",
    [
        records.Node(b"a", stat.S_IFLNK | 0o777, target=b"x\0y"),
        records.Node(b"a", stat.S_IFIFO | 0o600, uid=1 << 62),
        records.Node(b"a", stat.S_IFCHR | 0o600, device=(1 << 64) - 1),
    ],
)
async def test_numbers_and_names_that_no_file_has_are_refused(pair: Pair, node: records.Node) -> None:
    channel = await pair.sender.streams.take(await pair.offer())
    await channel.write(records.encode(node) + records.encode(records.End(1)))
    await channel.write_eof()
    answer = b""
    while data := await channel.read():
        answer += data
    channel.close()
    assert b'"kind":"' in answer
