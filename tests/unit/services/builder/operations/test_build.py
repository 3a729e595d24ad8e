from __future__ import annotations

import asyncio
import json
import os

import pytest
from aiohttp import web

from shared.contracts import builder, executor, image_store
from shared.contracts.image_store import PruneRequest, RemoveRequest
from shared.errors import Conflict, NotFound
from tests.support.builder_world import World
from tests.support.fake_registry import FakeRegistry
from tests.support.waiting import until
from tools import images


async def test_a_build_as_it_is_shown(world: World) -> None:
    await world.build("FROM busybox\nENV A=1\nCOPY a /a\nRUN echo hi\n", {"a": b"x"}, tags=("t", "t:latest", "u:1"))
    assert not world.error
    lines = world.text.splitlines()
    assert lines[0] == "Step 1/4 : FROM busybox"
    assert lines[2:4] == ["Step 2/4 : ENV A=1", f" ---> {(await world.image('t')).parent and lines[3][6:]}"]
    assert any(line.startswith(" ---> Running in ") for line in lines)
    assert "hi" in lines
    assert any(line.startswith("Removing intermediate container ") for line in lines)
    assert lines[-3:] == [f"Successfully built {(await world.image('t')).id[7:19]}", "Successfully tagged t:latest",
                          "Successfully tagged u:1"]  # fmt: skip
    assert [line["aux"]["ID"] for line in world.lines if "aux" in line] == [(await world.image("u:1")).id]


async def test_the_line_of_a_step_comes_before_its_end(world: World) -> None:
    """As from dockerd; clients look for the line as a message of its own."""
    await world.build("FROM busybox\nENV A=1\n")
    said = [line["stream"] for line in world.lines if "stream" in line]
    assert said[:2] == ["Step 1/2 : FROM busybox", "\n"]
    assert said[3:5] == ["Step 2/2 : ENV A=1", "\n"]


async def test_a_quiet_build_tells_the_id_alone(world: World) -> None:
    await world.build("FROM busybox\nENV A=1\n", quiet=True, tags=("t",))
    assert world.lines == [{"stream": f"{(await world.image('t')).id}\n"}]
    await world.build("FROM busybox\nENV A=2\nRUN exit 3\n", quiet=True)
    assert world.text.startswith("Step 1/3 : FROM busybox\n")
    assert world.error == "The command '/bin/sh -c exit 3' returned a non-zero code: 3"


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        ("FROM busybox\nFOO x\n", "dockerfile parse error on line 2: unknown instruction: FOO"),
        ("# nothing\n", "failed to parse Dockerfile: file with no instructions"),
        ("ARG A\n", "No image was generated. Is your Dockerfile empty?"),
        ("FROM busybox AS a\nFROM busybox AS a\n", "a stage name already used"),
    ],
)
async def test_errors_before_anything_is_shown_carry_a_status(world: World, dockerfile: str, why: str) -> None:
    await world.build(dockerfile)
    assert world.lines == [{"errorDetail": {"code": 400, "message": why}, "error": why}]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"tags": ("A",)}, "invalid reference format: repository name (library/A) must be lowercase"),
        ({"tags": ("a@sha256:" + "a" * 64,)}, "build tag cannot contain a digest"),
        ({"target": "x"}, 'target stage "x" could not be found'),
        ({"dockerfile": "other"}, "Cannot locate specified Dockerfile: other"),
        ({"build_args": {"SOURCE_DATE_EPOCH": "x"}}, "invalid SOURCE_DATE_EPOCH: 'x'"),
    ],
)
async def test_requests_that_are_wrong(world: World, request_: dict[str, object], why: str) -> None:
    await world.build("FROM busybox\nENV a=b\n", None, **request_)
    assert world.error == why


async def test_stages_and_their_order(world: World) -> None:
    text = "FROM busybox AS a\nCOPY a /a\nFROM scratch\nCOPY --from=a /a /b\nFROM busybox\nCOPY --from=1 /b /c\n"
    image = await world.built(text, {"a": b"x"})
    assert "c" in await world.files(image)
    steps = [line for line in world.text.splitlines() if line.startswith("Step ")]
    assert [step.split()[1] for step in steps] == [f"{number}/6" for number in range(1, 7)]
    assert world.text.count("Successfully built") == 1
    assert "a" in await world.files(await world.built(text, {"a": b"x"}, target="a"))


@pytest.mark.parametrize("stage", ["FROM busybox\nRUN sleep\n", "FROM t\n"])
async def test_so_many_steps_are_done_at_once(world: World, stage: str) -> None:
    """One ends, another begins: also where the steps are triggers."""
    await world.built("FROM busybox\nONBUILD RUN sleep\n", tags=("t",))
    most, stages = max(4, len(os.sched_getaffinity(0))), 12
    building = asyncio.ensure_future(world.build(stage * stages, no_cache=True))
    ended: set[str] = set()

    def running() -> set[str]:
        return {key for key, each in world.containers.machines.items() if each.status.state == "running"} - ended

    while len(ended) < stages:
        await until(lambda: len(running()) >= min(most, stages - len(ended)), 60)
        assert len(running()) <= most
        last = min(running())
        ended.add(last)
        await world.containers.end(last, 0)
    await building
    assert not world.error


async def test_who_waits_for_another_stage_takes_nobodys_turn(world: World) -> None:
    """Many stages, by triggers of their base, wait for one that stands behind them in the queue."""
    await world.built("FROM busybox\nONBUILD COPY --from=b /a /b\n", tags=("t",))
    text = "FROM busybox AS a\nRUN sleep\nCOPY a /a\nFROM a AS b\nRUN true\n" + "FROM t\n" * 20
    building = asyncio.ensure_future(world.build(text, {"a": b"x"}))
    await until(lambda: any(each.status.state == "running" for each in world.containers.machines.values()), 60)
    await world.containers.end(next(iter(world.containers.machines)), 0)
    async with asyncio.timeout(60):
        await building
    assert not world.error


async def test_steps_wait_only_for_the_stages_they_need(world: World) -> None:
    """What stands before COPY --from is done meanwhile."""
    text = "FROM busybox AS a\nRUN sleep\nCOPY a /a\nFROM busybox\nRUN echo meanwhile\nCOPY --from=a /a /b\n"
    building = asyncio.ensure_future(world.build(text, {"a": b"x"}))
    machines = world.containers.machines
    await until(lambda: {"running", "exited"} <= {each.status.state for each in machines.values()}, 60)
    [slow] = [key for key, each in machines.items() if each.status.state == "running"]
    await world.containers.end(slow, 0)
    await building
    assert not world.error


@pytest.mark.parametrize("how", ["cancelled", "another stage fails"])
async def test_a_build_that_ends_fetches_no_base_any_more(world: World, how: str) -> None:
    async with FakeRegistry().served() as registry:
        registry.add("a", "1", images.Image((images.tar([images.entry("new", b"x")]),), {}))
        asked, over = asyncio.Event(), asyncio.Event()

        async def silent(request: web.Request) -> web.StreamResponse:
            asked.set()
            await over.wait()
            return web.Response()

        layer = json.loads(registry.manifests["a", "1"][1])["layers"][0]["digest"]
        registry.override["GET", f"/v2/a/blobs/{layer}"] = silent
        fails = "FROM busybox\nRUN sleep\n" if how == "another stage fails" else ""
        building = asyncio.ensure_future(world.build(f"FROM {registry.name}/a:1\n{fails}", id="this"))
        async with asyncio.timeout(60):
            await asked.wait()
        if fails:
            await until(lambda: any(each.status.state == "running" for each in world.containers.machines.values()), 60)
            await world.containers.end(next(iter(world.containers.machines)), 1)
        else:
            await world.user.bus.call(builder.CANCEL, builder.CancelRequest(id="this"))
        async with asyncio.timeout(60):
            await building
        await until(lambda: not [each for each in asyncio.all_tasks() if each.get_name().startswith("transfer:")], 60)
        over.set()
        assert world.error


async def test_arguments_nobody_wanted(world: World) -> None:
    await world.built("FROM busybox\nENV a=b\n", build_args={"B": "1", "A": None, "http_proxy": "p"})
    assert "[Warning] One or more build-args [A B] were not consumed\n" in world.text


async def test_labels_of_the_request(world: World) -> None:
    image = await world.built("FROM busybox\n", labels={"b": "$x", "a": "1"})
    assert image.config.labels == {"a": "1", "b": "$x"}
    assert "Step 3/3 : LABEL b=$x" in world.text


STEPS = "".join(f"ENV A{number}=b\nCOPY a /a{number}\nRUN echo {number}\n" for number in range(5))


async def test_nothing_of_a_running_build_is_removed(world: World) -> None:
    """Whatever is pruned meanwhile, each step finds the image of the one before."""
    ended = asyncio.Event()

    async def prune() -> None:
        while not ended.is_set():
            await world.user.bus.call(image_store.PRUNE, PruneRequest())

    pruning = asyncio.ensure_future(prune())
    try:
        built = await world.built(f"FROM busybox\n{STEPS}", {"a": b"x"}, tags=("t",))
        assert (await world.built(f"FROM busybox\n{STEPS}", {"a": b"x"})).id == built.id
    finally:
        ended.set()
        await pruning
    assert len(built.history) == 16


async def test_the_base_of_a_running_build_cannot_be_removed(world: World) -> None:
    base = (await world.image("busybox")).id
    building = asyncio.ensure_future(world.build("FROM busybox\nRUN sleep\n", id="this"))
    remove = RemoveRequest(reference=base, force=True)
    await until(lambda: any(isinstance(call, executor.StartRequest) for call in world.containers.calls), 60)
    with pytest.raises(Conflict, match="image is being used by a running build"):
        await world.user.bus.call(image_store.REMOVE, remove)
    await world.user.bus.call(builder.CANCEL, builder.CancelRequest(id="this"))
    await building
    await world.user.bus.call(image_store.REMOVE, remove)
    with pytest.raises(NotFound):
        await world.image(base)
