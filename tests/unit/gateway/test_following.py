"""A stream that ends since its container has moved goes on at the next host."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from gateway import following
from gateway.following import FollowingChannel, Streams
from gateway.views import Container, Containers
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig
from shared.contracts.executor import SPECS, STATUSES
from shared.state import MemoryState


class Said:
    """A channel that says a few things and then ends, or breaks."""

    def __init__(self, *pieces: bytes, broken: bool = False) -> None:
        self.sock: socket.socket | None = None
        self.got: list[bytes] = []
        self.closed = False
        self._pieces, self._broken = list(pieces), broken

    async def read(self, limit: int = 0) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._broken:
            raise ConnectionResetError
        return b""

    async def write(self, data: bytes) -> None:
        self.got.append(data)

    async def write_frame(self, stream: int, payload: bytes) -> None:
        self.got.append(payload)

    async def write_eof(self) -> None:
        self.got.append(b"")

    def close(self) -> None:
        self.closed = True


async def test_one_after_the_other_until_there_is_none() -> None:
    first, second, third, keys = Said(b"a", b"b"), Said(b"c", broken=True), Said(b"d"), Said()
    rest = [Streams(second, keys), Streams(third), None]

    async def again() -> Streams | None:
        return rest.pop(0)

    channel = FollowingChannel(first, again)
    await channel.write(b"1")
    said = [await channel.read() for _ in range(3)]
    await channel.write(b"2")
    await channel.write_frame(0, b"3")
    await channel.write_eof()
    said += [await channel.read() for _ in range(2)]
    assert said == [b"a", b"b", b"c", b"d", b""]
    await channel.write(b"nobody reads this")
    assert (first.got, second.got, keys.got, third.got) == ([b"1"], [], [b"2", b"3", b""], [])
    channel.close()
    assert all(each.closed for each in (first, second, third, keys))


async def test_a_break_that_is_no_move_stays_one() -> None:
    async def again() -> Streams | None:
        return None

    channel = FollowingChannel(Said(b"a", broken=True), again)
    assert await channel.read() == b"a"
    with pytest.raises(ConnectionResetError):
        await channel.read()


ID = "a" * 64
SPEC = ContainerSpec(id=ID, name="web", created=1, config=ContainerConfig(), host_config=HostConfig())
RUNNING = ContainerStatus(state="running", runs=1)


class World:
    """A gateway's view of two hosts."""

    def __init__(self) -> None:
        self.one, self.two = MemoryState(), MemoryState()
        self.one.hosts["n2"] = self.two
        self.containers: Containers

    async def open(self) -> Container:
        await self.one.create(STATUSES, ID, value=RUNNING)
        await self.one.create(SPECS, ID, value=SPEC)
        self.containers = await Containers.open(self.one, "n1")
        await self.containers.add_host("n2", wait=1)
        return await self.containers.find(ID)

    async def become(self, **changes: object) -> None:
        entry = await self.one.get(STATUSES, ID)
        assert entry is not None
        value = msgspec.structs.replace(entry.value, **changes)
        await self.one.update(STATUSES, ID, value=value, revision=entry.revision)


async def where(world: World, before: Container) -> Container | None:
    return await following.moved(world, before)  # type: ignore[arg-type]  # it reads the view alone


async def test_a_move_is_seen_when_the_other_host_has_it() -> None:
    world = World()
    before = await world.open()
    looking = asyncio.ensure_future(where(world, before))
    await asyncio.sleep(0)
    await world.become(moved_to="n2")
    await world.two.create(STATUSES, ID, value=msgspec.structs.replace(RUNNING, log_came=7))
    await world.two.create(SPECS, ID, value=SPEC)
    found = await looking
    assert found is not None
    assert (found.node, found.status.log_came) == ("n2", 7)


async def test_an_end_is_no_move() -> None:
    for changes in ({"state": "exited"}, {"runs": 2}):
        world = World()
        before = await world.open()
        looking = asyncio.ensure_future(where(world, before))
        await asyncio.sleep(0)
        await world.become(**changes)
        assert await looking is None
    world = World()
    before = await world.open()
    await world.one.delete(SPECS, ID)
    await asyncio.sleep(0)
    assert await where(world, before) is None
