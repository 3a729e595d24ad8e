from __future__ import annotations

import asyncio

from shared.contracts import builder, executor
from shared.contracts.base import Empty
from tests.support.builder_world import World
from tests.support.waiting import until
from tools import images


async def started(world: World) -> None:
    """Returns when a container runs."""
    await until(lambda: any(each.status.state == "running" for each in world.containers.machines.values()))


async def test_a_cancelled_build_leaves_nothing(world: World) -> None:
    building = asyncio.ensure_future(world.build("FROM busybox\nRUN sleep\n", id="this"))
    await started(world)
    assert not world.builder.at_rest()
    await world.user.bus.call(builder.CANCEL, builder.CancelRequest(id="this"))
    await building
    assert world.error == "Build cancelled"
    assert world.builder.at_rest()
    assert world.containers.machines == {}
    assert [each async for each in records(world)] == []


async def records(world: World):
    view = await world.user.state.view(builder.BUILDS)
    for each in view.items(builder.BUILDS):
        yield each


async def test_a_client_that_leaves_ends_its_build(world: World) -> None:
    offer = await world.user.bus.call(builder.BUILD, builder.BuildRequest())
    channel = await world.user.streams.take(offer)
    await channel.write(images.tar([images.entry("Dockerfile", b"FROM busybox\nRUN sleep\n")]))
    await channel.write_eof()
    await started(world)
    channel.close()
    await until(lambda: not world.containers.machines)
    assert isinstance(world.containers.last(), executor.RemoveRequest)


async def test_what_is_not_running_cannot_be_cancelled_and_nothing_is_kept(world: World) -> None:
    assert await world.user.bus.call(builder.CANCEL, builder.CancelRequest(id="none")) == Empty()
    assert (await world.user.bus.call(builder.PRUNE, builder.PruneRequest())).removed == ()
    assert (await world.user.bus.call(builder.USAGE, Empty())).entries == ()
