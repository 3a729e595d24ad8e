from __future__ import annotations

from shared.contracts import image_store
from shared.contracts.builder import BUILDS
from tests.support.builder_world import World, transfer


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
