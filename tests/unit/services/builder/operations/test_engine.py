from __future__ import annotations

from shared.contracts.builder import BUILDS
from tests.support.builder_world import World


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
