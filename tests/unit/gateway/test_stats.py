from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateway import stats
from shared.errors import Unavailable
from tests.support.gateways import World
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
        await sampler._take()
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
