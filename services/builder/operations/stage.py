"""One stage from its base to its last instruction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import Image
from shared.dockerfile.instructions import From, Instruction
from shared.dockerfile.parser import parse
from shared.dockerfile.reading import instruction
from shared.dockerfile.words import Lex
from shared.errors import InvalidArgument

from ..domain import output, steps
from ..domain.arguments import Arguments
from ..domain.copying import How, folder
from ..domain.graph import by_name, needs
from ..domain.platforms import parse_platform
from ..domain.steps import State, Step
from ..domain.tree import Tree
from . import copy, run
from .engine import Build

SCRATCH = "scratch"


async def build_stage(build: Build, position: int, arguments: Arguments, escape: str, number: int, total: int) -> State:
    """The stage's last state. Its steps are numbered from `number` of `total`."""
    stage = build.stages[position]
    build.show_step(position, f"Step {number}/{total} : {stage.begin.source}")
    config, image_id, told = await _base(build, position, stage.begin, arguments, escape)
    state, triggers = steps.begin(config, image_id, told, escape)
    if triggers:
        build.show(position, f"# Executing {len(triggers)} build trigger{'s' if len(triggers) > 1 else ''}\n")
        for trigger in triggers:
            state = await _step(build, position, state, _triggered(trigger))
    build.show(position, f" ---> {output.short(state.image_id)}\n")
    for offset, each in enumerate(stage.instructions, start=number + 1):
        build.show_step(position, f"Step {offset}/{total} : {each.source}")
        state = await _step(build, position, state, each)
        build.show(position, f" ---> {output.short(state.image_id)}\n")
    await build.store.hold(state.image_id)
    if build.request.aux and state.image_id:
        build.console.write(position, output.aux(state.image_id))
    return state


async def _base(
    build: Build, position: int, begin: From, arguments: Arguments, escape: str
) -> tuple[ContainerConfig, str, Arguments]:
    """Configuration and id of what a stage stands on: an earlier stage, an image, or nothing."""
    lex, known = Lex(escape), arguments.visible_before()
    platform = parse_platform(lex.expand(begin.platform, known)) if begin.platform else None
    name = lex.expand(begin.base, known)
    if not name:
        raise InvalidArgument(f"base name ({begin.base}) should not be blank")
    earlier = by_name(build.stages, position, name)
    if earlier is not None:
        state = await build.result(earlier)
        return state.config, state.image_id, arguments
    if name == SCRATCH:
        return ContainerConfig(), "", arguments
    image = await build.base(name, platform, position)
    return image.config, image.id, arguments


def _triggered(trigger: str) -> Instruction:
    parsed = parse(trigger.encode())
    if len(parsed.nodes) != 1:
        raise InvalidArgument("onbuild trigger should be a single expression")
    return instruction(parsed.nodes[0])


async def _step(build: Build, position: int, state: State, each: Instruction) -> State:
    """The state after an instruction, its image made or found. Who waits for another stage takes no turn meanwhile."""
    step = steps.plan(state, each)
    for needed in needs(build.stages, position, steps.origins(step)):
        await build.result(needed)
    async with build.turns:
        return await _done(build, position, state, step)


async def _done(build: Build, position: int, state: State, step: Step) -> State:
    if isinstance(step, steps.Describe):
        if step.note:
            build.show(position, step.note)
        return await _with_image(build, position, state, step, lambda: build.describe(_on(step, state), step.history))
    if isinstance(step, steps.MakeFolder):
        return await _with_image(build, position, state, step, lambda: _make_folder(build, state, step))
    if isinstance(step, steps.Transfer):
        return await copy.copy(build, position, state, step)
    assert isinstance(step, steps.Execute)
    return await run.run(build, position, state, step)


def _on(step: Step, state: State) -> State:
    return replace(step.state, image_id=state.image_id)


async def _with_image(
    build: Build, position: int, state: State, step: Step, make: Callable[[], Awaitable[Image]]
) -> State:
    image = await build.cached(state, step.history, step.state)
    if image is not None:
        build.show(position, " ---> Using cache\n")
    else:
        image = await make()
    return replace(step.state, image_id=image.id)


async def _make_folder(build: Build, state: State, step: steps.MakeFolder) -> Image:
    """A layer with the folder, or none when it is there."""
    place = await build.store.place(state.image_id, step.path)
    if place.kind == "directory":
        return await build.describe(_on(step, state), step.history)
    made: Tree = folder(place, How(now=copy.now(build)))
    return await build.add_layer(_on(step, state), step.history, made)
