from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway import stats
from shared.contracts import executor, platform
from shared.contracts.container import ContainerConfig
from shared.errors import Unavailable
from tests.support.gateways import Host, World
from tests.support.waiting import until

Create = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "INTERVAL", 0.01)


async def test_listeners_share_samples(world: World, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "INTERVAL", 3600)
    one, other = await create("sleep", "1", name="a"), await create("sleep", "1", name="b")
    world.platform.using = {one, other}
    sampler = world.app._gateway.sampler
    async with sampler.listen(one) as first, sampler.listen(one) as second, sampler.listen(other):
        start = await first.next()
        assert start == await second.next()  # the newest there was
        assert len(world.platform.asked) == 2
        await asyncio.gather(*sampler._take())
        assert await first.next() == await second.next()
        assert set(world.platform.asked[2]) == {one, other}  # one question for all


async def test_nobody_asks_for_nobody(world: World, create: Create) -> None:
    id = await create("sleep", "1")
    sampler = world.app._gateway.sampler
    async with sampler.listen(id) as listener:
        assert await listener.next() is None  # it does not run
        assert await listener.next() is None
    await sampler._tasks.drain(10)
    assert not len(sampler._tasks)
    assert not sampler._last


async def test_a_platform_that_is_away_for_a_moment(world: World, create: Create) -> None:
    id = await create("sleep", "1")
    world.platform.using = {id}
    sampler = world.app._gateway.sampler
    async with sampler.listen(id) as listener:
        await listener.next()
        world.platform.fail = Unavailable("away")
        asked = len(world.platform.asked)
        await until(lambda: len(world.platform.asked) > asked + 2)
        world.platform.fail = None
        assert await listener.next() is not None
    world.platform.fail = Unavailable("away")
    with pytest.raises(Unavailable):
        async with sampler.listen(id):
            pass


async def test_a_host_that_does_not_answer_holds_up_no_other(
    world: World, two: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = executor.CreateRequest(config=ContainerConfig(image="busybox", cmd=("sleep", "1")), name="c")
    near, far = [(await host.executor.create(made)).id for host in (world, two)]
    await until(lambda: {each.id for each in world.app._gateway.containers.all()} == {near, far})
    world.platform.using = {near}
    sampler = world.app._gateway.sampler
    read, asked = sampler._read, 0

    async def silent(node: str, ids: tuple[str, ...]) -> dict[str, platform.Sample]:
        nonlocal asked
        if node != "node2":
            return await read(node, ids)
        asked += 1
        return {} if asked == 1 else await asyncio.Future()

    monkeypatch.setattr(sampler, "_read", silent)
    async with sampler.listen(far), sampler.listen(near) as listener:
        await until(lambda: asked == 2)
        for _ in range(3):
            assert await asyncio.wait_for(listener.next(), 60) is not None
        assert asked == 2
