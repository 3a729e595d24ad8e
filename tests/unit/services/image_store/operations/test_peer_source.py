"""Blobs from peers that answer, are slow, lie or die."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from services.image_store.domain.registry_answers import RegistryError
from services.image_store.operations.peer_source import AHEAD, LANES, PeerSource, Sources
from services.image_store.ports import Progress
from shared.contracts.common import Descriptor
from shared.contracts.peers import PIECE_BYTES
from shared.digest import digest_of
from shared.errors import Unavailable

DATA = os.urandom(20 * PIECE_BYTES + 77)
BLOB = Descriptor(media_type="x", digest=digest_of(DATA), size=len(DATA))


class Peer:
    """Another host: `data` is what it gives; after `dies` pieces it is gone; it hangs while `go` is not set."""

    def __init__(self, data: bytes | None = DATA, dies: int = 1 << 30) -> None:
        self.data, self.left, self.given, self.busy, self.most = data, dies, 0, 0, 0
        self.go = asyncio.Event()
        self.go.set()

    @property
    def step(self) -> int:
        """The most that it gives at once."""
        return PIECE_BYTES


class Slow(Peer):
    """Gives a byte of each piece."""

    @property
    def step(self) -> int:
        return 1


class World:
    """Implements `ports.Peers`."""

    def __init__(self, **peers: Peer) -> None:
        self.peers = peers
        self.known = tuple(peers)

    def look(self) -> asyncio.Task[None]:
        raise NotImplementedError

    def learn(self, nodes: Iterable[str]) -> None:
        raise NotImplementedError

    async def holds(self, node: str, digest: str) -> bool:
        return self._peer(node).data is not None and digest == BLOB.digest

    def _peer(self, node: str) -> Peer:
        if node not in self.peers or self.peers[node].left <= 0:
            raise Unavailable("nobody answers")
        return self.peers[node]

    async def read(self, node: str, digest: str, offset: int, length: int) -> bytes:
        peer = self._peer(node)
        peer.busy += 1
        peer.most = max(peer.most, peer.busy)
        try:
            await peer.go.wait()
            await asyncio.sleep(0)
        finally:
            peer.busy -= 1
        self._peer(node)
        peer.left -= 1
        peer.given += 1
        assert peer.data is not None
        return peer.data[offset : offset + min(length, peer.step)]


async def fetch(file: Path, **peers: Peer) -> list[int]:
    """The sizes that were told."""
    told: list[int] = []

    async def tell(size: int) -> None:
        told.append(size)

    await PeerSource(World(**peers)).fetch(BLOB, file, tell)
    return told


async def test_from_several_at_once(tmp_path: Path) -> None:
    one, two, without = Peer(), Peer(), Peer(None)
    told = await fetch(tmp_path / "blob", one=one, two=two, without=without)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert told == sorted(told)
    assert told[-1] == len(DATA)
    assert one.given > 0 < two.given
    assert without.given == 0
    assert one.most == two.most == LANES


async def test_it_goes_on_where_another_stopped(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(DATA[: 19 * PIECE_BYTES])
    one = Peer()
    await fetch(tmp_path / "blob", one=one)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert one.given <= LANES


@pytest.mark.parametrize("before", [b"wrong" * 1000, bytes(len(DATA) + 5)])
async def test_what_was_there_is_wrong(tmp_path: Path, before: bytes) -> None:
    (tmp_path / "blob").write_bytes(before)
    await fetch(tmp_path / "blob", one=Peer())
    assert (tmp_path / "blob").read_bytes() == DATA


async def test_one_dies_and_the_others_go_on(tmp_path: Path) -> None:
    one, two = Peer(dies=3), Peer()
    await fetch(tmp_path / "blob", one=one, two=two)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert one.given <= 3


async def test_one_hangs_and_the_others_do_its_part(tmp_path: Path) -> None:
    one, two = Peer(), Peer()
    one.go.clear()
    await fetch(tmp_path / "blob", one=one, two=two)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert one.given == one.busy == 0


async def test_one_lies_and_is_not_believed(tmp_path: Path) -> None:
    liar, short, good = Peer(bytes(len(DATA))), Peer(DATA[: 5 * PIECE_BYTES + 1]), Peer()
    await fetch(tmp_path / "blob", liar=liar, short=short, good=good)
    assert (tmp_path / "blob").read_bytes() == DATA


async def test_all_die_and_what_came_is_kept(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no other image store gives") as failed:
        await fetch(tmp_path / "blob", one=Peer(dies=3), two=Peer(dies=4))
    assert not failed.value.again
    kept = (tmp_path / "blob").read_bytes()
    assert kept == DATA[: len(kept)]
    assert len(kept) >= 3 * PIECE_BYTES


@pytest.mark.parametrize("peers", [{}, {"liar": Peer(bytes(len(DATA)))}, {"without": Peer(None)}])
async def test_nobody_has_it(tmp_path: Path, peers: dict[str, Peer]) -> None:
    with pytest.raises(RegistryError, match="no other image store gives"):
        await fetch(tmp_path / "blob", **peers)
    assert not (tmp_path / "blob").exists() or not (tmp_path / "blob").read_bytes()


async def test_what_waits_in_memory_is_bounded(tmp_path: Path) -> None:
    """A peer hangs on the first pieces, and the other may not help."""
    slow, fast = Peer(), Peer()
    slow.go.clear()
    world = World(slow=slow, fast=fast)
    huge = Descriptor(media_type="x", digest=BLOB.digest, size=1 << 40)

    async def tell(size: int) -> None:
        raise AssertionError(f"{size} bytes: nothing can be written")

    read = world.read

    async def reading(node: str, digest: str, offset: int, length: int) -> bytes:
        if node == "fast" and offset < LANES * PIECE_BYTES:
            await asyncio.Event().wait()
        return await read(node, digest, offset % PIECE_BYTES, length)

    world.read = reading  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await PeerSource(world).fetch(huge, tmp_path / "blob", tell)
    assert fast.given <= AHEAD


async def test_small_blobs_are_verified() -> None:
    small = b"x" * (PIECE_BYTES + 5)
    blob = Descriptor(media_type="x", digest=digest_of(small), size=len(small))

    class Small(World):
        async def holds(self, node: str, digest: str) -> bool:
            self._peer(node)
            return digest == blob.digest

    world = Small(gone=Peer(dies=0), liar=Peer(b"y" * len(small)), cut=Peer(small[:-1]), good=Peer(small))
    assert await PeerSource(world).small(blob) == small
    slow = Slow(small)
    with pytest.raises(RegistryError):
        await PeerSource(Small(slow=slow)).small(blob)
    assert slow.given == 1, "a byte at a time, it would take for ever"
    with pytest.raises(RegistryError):
        await PeerSource(Small(liar=Peer(b"y" * len(small)))).small(blob)
    huge = Descriptor(media_type="x", digest=blob.digest, size=1 << 40)
    with pytest.raises(RegistryError, match="at most"):
        await PeerSource(world).small(huge)


class Behind:
    """A registry; remembers how much there was when it was asked."""

    def __init__(self) -> None:
        self.begun: list[int] = []

    async def fetch(self, blob: Descriptor, file: Path, told: Progress) -> None:
        self.begun.append(file.stat().st_size if file.exists() else 0)
        file.write_bytes(DATA)

    async def small(self, blob: Descriptor) -> bytes:
        return b"small"


async def test_the_registry_goes_on_where_peers_stopped(tmp_path: Path) -> None:
    async def tell(size: int) -> None:
        pass

    behind = Behind()
    await Sources(PeerSource(World(one=Peer(dies=4))), behind).fetch(BLOB, tmp_path / "blob", tell)
    assert (tmp_path / "blob").read_bytes() == DATA
    assert behind.begun[0] >= 2 * PIECE_BYTES
    assert await Sources(PeerSource(World()), behind).small(BLOB) == b"small"
    with pytest.raises(RegistryError):
        await Sources(PeerSource(World())).small(BLOB)
    with pytest.raises(RegistryError):
        await Sources(PeerSource(World())).fetch(BLOB, tmp_path / "other", tell)


async def test_those_named_come_first() -> None:
    asked: list[str] = []

    class Asked(World):
        async def holds(self, node: str, digest: str) -> bool:
            asked.append(node)
            return False

    with pytest.raises(RegistryError):
        await PeerSource(Asked(a=Peer(), b=Peer()), ("c", "b")).small(Descriptor(
            media_type="x", digest=BLOB.digest, size=5
        ))  # fmt: skip
    assert asked == ["c", "b", "a"]


async def test_it_says_whether_anybody_did_not_answer(tmp_path: Path) -> None:
    async def tell(size: int) -> None:
        pass

    for peers, silent in (({"a": Peer(None)}, False), ({"a": Peer(None), "b": Peer(dies=0)}, True)):
        source = PeerSource(World(**peers))
        with pytest.raises(RegistryError):
            await source.fetch(BLOB, tmp_path / "blob", tell)
        assert source.silent == silent
        with pytest.raises(RegistryError):
            await source.small(Descriptor(media_type="x", digest=BLOB.digest, size=3))
        assert source.silent == silent
