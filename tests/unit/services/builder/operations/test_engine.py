from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.builder.domain.platforms import host_platform
from shared.contracts import image_store, scheduler
from shared.contracts.builder import BUILDS
from shared.contracts.scheduler import BringReply, BringRequest
from shared.errors import NotFound
from shared.testing import serving
from tests.support.builder_world import BASE, World, transfer
from tests.support.parties import as_far_as
from tools import images


class Scheduler:
    """One of a cluster whose other hosts have `images`, by name; `asked`: for which names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.images: dict[str, images.Image] = {}
        self.asked: list[BringRequest] = []

    async def bring(self, request: BringRequest) -> BringReply:
        self.asked.append(request)
        if request.reference not in self.images:
            raise NotFound(f"No such image: {request.reference}")
        image = self.images[request.reference]
        await self._world.load(image)
        return BringReply(image_id=image.id)


@pytest.fixture
async def far(world: World) -> AsyncIterator[Scheduler]:
    """The world is a host of a cluster."""
    made = Scheduler(world)
    world.kernel.clustered = True
    async with serving(world.user, as_far_as(scheduler.CONTRACT, made), made):
        yield made


async def test_times_can_be_given(world: World) -> None:
    arguments = {"SOURCE_DATE_EPOCH": "1000000000"}
    text = "FROM busybox\nCOPY a /a\nENV A=1\n"
    first = await world.built(text, {"a": b"x"}, build_args=arguments)
    assert first.created == "2001-09-09T01:46:40Z"
    assert (await world.files(first))["a"].mtime == 1_000_000_000
    again = await world.built(text, {"a": b"x"}, build_args=arguments, no_cache=True)
    assert again.id == first.id


async def test_a_record_lasts_as_long_as_its_build(world: World) -> None:
    await world.built("FROM busybox\nRUN true\n")
    view = await world.user.state.view(BUILDS)
    assert list(view.items(BUILDS)) == []


async def test_of_images_to_take_steps_from_that_are_not_there_none_is_taken(world: World) -> None:
    text = "FROM busybox\nRUN true\n"
    first = await world.built(text)
    assert (await world.built(text)).id == first.id
    assert (await world.built(text, cache_from=("nosuch",))).id != first.id


async def test_steps_of_an_image_that_came_without_those_it_was_made_of(world: World) -> None:
    """As after a pull: all steps are taken over, and what is left the same is the very same image."""
    text = "FROM busybox\nENV A=1\nCOPY a /a\nRUN true\nCOPY b /b\nLABEL x=y\n"
    files = {"a": b"x", "b": b"y"}
    first = await world.built(text, files, tags=("t:1",))
    offer = await world.user.bus.call(image_store.SAVE, image_store.SaveRequest(references=("t:1",)))
    saved = await transfer(world.user.streams, offer, b"")
    await world.user.bus.call(image_store.REMOVE, image_store.RemoveRequest(reference="t:1"))
    offer = await world.user.bus.call(image_store.LOAD, image_store.LoadRequest())
    assert b"Loaded" in await transfer(world.user.streams, offer, saved)
    assert (await world.image("t:1")).parent == ""

    again = await world.built(text, files, cache_from=("t:1",))
    assert (again.id, world.text.count("Using cache")) == (first.id, 5)
    changed = await world.built(text, {**files, "b": b"z"}, cache_from=("t:1",))
    assert world.text.count("Using cache") == 3
    assert changed.diff_ids[:2] == first.diff_ids[:2]
    assert (await world.files(changed))["b"].size == 1
    other = await world.built(text.replace("x=y", "x=z"), files, cache_from=("t:1",))
    assert world.text.count("Using cache") == 4
    assert other.diff_ids == first.diff_ids
    assert other.history[:-1] == first.history[:-1]
    assert (await world.built(text, files, cache_from=("busybox",))).id != first.id


async def test_what_only_another_host_has_is_taken_from_there(world: World, far: Scheduler) -> None:
    """For whatever a build needs an image. It may be here without a name then."""
    names = ("from:1", "copy:1", "mount:1", "cache:1")
    far.images = {name: replace(BASE, config={"Env": [f"NAME={name}"]}, tags=()) for name in names}
    text = "FROM from:1\nCOPY --from=copy:1 /file /copied\nRUN --mount=from=mount:1,target=/m true\n"
    made = await world.built(text, cache_from=("cache:1", "nowhere:1"))
    assert made.config.env[0] == "NAME=from:1"
    assert (await world.files(made))["copied"].size == len(b"of the base")
    platform = host_platform()
    assert sorted(far.asked, key=lambda one: one.reference) == [
        BringRequest(reference=name, platform=platform) for name in sorted((*names, "nowhere:1"))
    ]


async def test_other_hosts_are_asked_after_this_one_and_before_the_registry(world: World, far: Scheduler) -> None:
    missing = "127.0.0.1:1/none:1"
    await world.built("FROM busybox\nENV a=b\n")
    assert far.asked == []
    await world.build(f"FROM {missing}\n")
    assert [one.reference for one in far.asked] == [missing]
    assert "127.0.0.1:1" in world.error
    far.images[missing] = replace(BASE, tags=())
    await world.build(f"FROM {missing}\n", pull=True)
    assert len(far.asked) == 1
    assert "127.0.0.1:1" in world.error
    assert (await world.built(f"FROM {missing}\nENV a=b\n")).config.env[-1] == "a=b"
