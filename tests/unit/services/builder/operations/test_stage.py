from __future__ import annotations

from tests.support.builder_world import World


async def test_a_base_that_is_an_argument(world: World) -> None:
    image = await world.built("ARG BASE=none\nFROM $BASE\nARG BASE\nENV A=$BASE\n", build_args={"BASE": "busybox"})
    assert "A=busybox" in image.config.env
    await world.build("FROM $NONE\n")
    assert world.error == "base name ($NONE) should not be blank"


async def test_triggers(world: World) -> None:
    await world.built("FROM busybox\nONBUILD ENV A=1\nONBUILD COPY a /a\n", tags=("t",))
    image = await world.built("FROM t\nENV B=2\n", {"a": b"x"})
    assert "# Executing 2 build triggers\n" in world.text
    assert image.config.on_build is None
    assert image.config.env[-2:] == ("A=1", "B=2")
    assert "a" in await world.files(image)


async def test_a_working_directory_is_made_once(world: World) -> None:
    image = await world.built("FROM busybox\nWORKDIR /etc\nWORKDIR new/deep\n")
    assert image.config.working_dir == "/etc/new/deep"
    assert [entry.empty_layer for entry in image.history[-2:]] == [True, False]
    files = await world.files(image)
    assert files["etc/new/deep"].mode == 0o755
    await world.build("FROM busybox\nWORKDIR /file\n")
    assert world.error == "Cannot mkdir: /file is not a directory"


async def test_steps_are_found_again(world: World) -> None:
    text = "FROM busybox\nENV A=1\nWORKDIR /w\nCOPY a .\nRUN true\n"
    first = await world.built(text, {"a": b"x"})
    assert "Using cache" not in world.text
    assert await world.built(text, {"a": b"x"}) == first
    assert world.text.count(" ---> Using cache\n") == 4
    assert await world.built(text, {"a": b"y"}) != first
    assert world.text.count(" ---> Using cache\n") == 2
    await world.built(text, {"a": b"x"}, no_cache=True)
    assert "Using cache" not in world.text


async def test_of_nothing(world: World) -> None:
    image = await world.built('FROM scratch\nENV A=1\nCMD ["x"]\n')
    assert (image.diff_ids, image.config.cmd) == ((), ("x",))
    assert (await world.built("FROM scratch\nENV A=1\n")).config.env[-1] == "A=1"
    assert "Using cache" in world.text
    await world.build("FROM scratch\n")
    assert world.error == "No image was generated. Is your Dockerfile empty?"


async def test_an_image_that_is_not_there(world: World) -> None:
    await world.build("FROM 127.0.0.1:1/none:1\n")
    assert "127.0.0.1:1" in world.error
