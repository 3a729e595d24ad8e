"""A whole build: context, stages side by side, names, and whatever is to be cleared away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shared.contracts.builder import BuildRequest
from shared.dockerfile.instructions import Arg
from shared.dockerfile.reading import stages
from shared.dockerfile.words import Lex
from shared.errors import InvalidArgument, NotFound, ResourceExhausted, ShoalError
from shared.ids import new_token
from shared.service import Kernel
from shared.streams import Channel

from ..adapters.containers import Containers
from ..adapters.hangup import on_hang_up
from ..adapters.mount_files import mount_files
from ..adapters.spool import Spools
from ..adapters.store import Store
from ..domain import graph, output
from ..domain.arguments import Arguments, platform_arguments, unused
from ..domain.output import Console
from ..domain.steps import State
from . import context, remote
from .console import Screen
from .engine import Build
from .run import CommandFailed
from .stage import build_stage

log = logging.getLogger(__name__)

INSUFFICIENT_STORAGE = 507
PATIENCE = 5.0


class Cancelled(ShoalError):
    """Somebody asked for it."""

    kind, code = "cancelled", 499


@dataclass
class Running:
    """The builds under way, by id, and the caches that they have mounted."""

    builds: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)


async def serve(kernel: Kernel, request: BuildRequest, channel: Channel, running: Running) -> None:
    """Runs the build on its stream. A client that leaves, or a cancel of its id, ends it."""
    identifier = request.id or new_token()
    screen = Screen(channel, request.quiet)
    spools = Spools(kernel.settings.state_path / "builder")
    build = Build(
        identifier, request, kernel, spools, Store(kernel, identifier), Containers(kernel), screen, mount_files(kernel),
        running.busy, running.locks,
    )  # fmt: skip
    work = kernel.tasks.start(_work(build, channel), "build")
    running.builds[identifier] = work
    try:
        with on_hang_up(channel, work.cancel):
            await asyncio.wait((work,))
    finally:
        running.builds.pop(identifier, None)
        work.cancel()
        await asyncio.wait((work,))
        await screen.close()
        spools.close()


async def _work(build: Build, channel: Channel) -> None:
    """Never raises but for cancellation; an error is the last line."""
    try:
        last = await _run(build, channel)
        await build.screen.end(last)
    except ShoalError as error:
        await _fail(build, channel, error)
    except asyncio.CancelledError:
        build.screen.show(output.stream("Build cancelled\n"))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await build.screen.end(output.error("Build cancelled"))
        raise
    except Exception:
        number = new_token()[:12]
        log.exception("build %s failed: error %s", build.id, number)
        await build.screen.end(output.error(f"internal error {number}: see the builder's log"), failed=True)
    finally:
        await asyncio.shield(_clear(build))


async def _clear(build: Build) -> None:
    """Nothing stays but what is meant to."""
    await build.end_bases()
    await build.containers.remove_all()
    build.containers.close()
    try:
        await build.end_running()
        await build.store.end()
    except ShoalError as error:
        log.warning("build %s: %s", build.id, error)


async def _fail(build: Build, channel: Channel, error: ShoalError) -> None:
    code = error.exit_code if isinstance(error, CommandFailed) else 0
    if not build.screen.used:
        code = INSUFFICIENT_STORAGE if isinstance(error, ResourceExhausted) else error.code
    await build.screen.end(output.error(error.message, code), failed=True)
    await _hear_out(channel)


async def _hear_out(channel: Channel) -> None:
    """Takes what the other side still sends: closing before it has ended would cost it the answer."""
    await channel.write_eof()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while await channel.read():
                pass


async def _incoming(channel: Channel) -> AsyncIterator[bytes]:
    while data := await channel.read():
        yield data


async def _run(build: Build, channel: Channel) -> bytes:
    """Does it all; the last line to show."""
    request = build.request
    names = await _names(build)
    source = await _source(build, channel)
    build.context = source.tree
    before, found = stages(source.parsed)
    if not found:
        raise InvalidArgument("No image was generated. Is your Dockerfile empty?")
    graph.check_names(found)
    build.stages = graph.with_labels(graph.chosen(found, request.target), request.labels)
    build.console = Console(len(build.stages), build.screen.show)
    build.cache_from = await _cache_from(build)
    for warning in source.parsed.warnings:
        build.show(0, f"\x1b[91m{warning}\x1b[0m")
    state = await _stages(build, before, source.parsed.escape)
    if not state.image_id:
        raise InvalidArgument("No image was generated. Is your Dockerfile empty?")
    for repository, tag in names:
        await build.store.tag(state.image_id, repository, tag)
    if request.quiet:
        return output.stream(f"{state.image_id}\n")
    build.screen.show(output.stream(f"Successfully built {output.short(state.image_id)}\n"))
    for repository, tag in names:
        build.screen.show(output.stream(f"Successfully tagged {repository}:{tag}\n"))
    return b""


async def _names(build: Build) -> list[tuple[str, str]]:
    """The names that the image gets, as Docker shows them; raises `InvalidArgument` before anything is done."""
    wanted = [text for text in build.request.tags if text]
    if any("@" in text for text in wanted):
        raise InvalidArgument("build tag cannot contain a digest")
    return list(dict.fromkeys(await build.store.names(wanted))) if wanted else []


async def _source(build: Build, channel: Channel) -> context.Context:
    request = build.request
    if request.remote:
        return await remote.source(build)
    _, tree = await context.received(build.spools, _incoming(channel), build.limits)
    return context.with_dockerfile(build.spools, tree, request.dockerfile)


async def _cache_from(build: Build) -> tuple[str, ...]:
    """The ids of the images to take steps from; those that no host has are no help."""
    found = []
    for reference in build.request.cache_from:
        with suppress(NotFound, InvalidArgument):
            found.append((await build.present(reference, None)).id)
    return tuple(found)


async def _stages(build: Build, before: Sequence[Arg], escape: str) -> State:
    """Builds all stages at once, as far as their steps do not wait for each other; the last one's state."""
    total = len(before) + sum(1 + len(stage.instructions) for stage in build.stages)
    arguments = Arguments.of(build.request.build_args, platform_arguments(build.platform, build.host))
    for number, step in enumerate(before, start=1):
        build.show_step(0, f"Step {number}/{total} : {step.source}")
        known = {**arguments.visible_before(), **arguments.visible()}
        expanded = step.expanded(lambda word, known=known: Lex(escape).expand(word, known))  # type: ignore[misc]
        assert isinstance(expanded, Arg)
        arguments = arguments.declare_before(expanded)
    loop = asyncio.get_running_loop()
    build.results = [loop.create_future() for _ in build.stages]
    number = len(before) + 1
    try:
        async with asyncio.TaskGroup() as group:
            for position, stage in enumerate(build.stages):
                group.create_task(_stage(build, position, arguments, escape, number, total))
                number += 1 + len(stage.instructions)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    referenced = set(arguments.declared) | {name for each in build.results for name in each.result().arguments.declared}
    left = unused(build.request.build_args, referenced)
    if left:
        build.screen.show(output.stream(f"[Warning] One or more build-args [{' '.join(left)}] were not consumed\n"))
    return build.results[-1].result()


async def _stage(build: Build, position: int, arguments: Arguments, escape: str, number: int, total: int) -> None:
    try:
        state = await build_stage(build, position, arguments, escape, number, total)
    except ShoalError:
        build.console.flush(position)
        raise
    build.results[position].set_result(state)
    build.console.finish(position)
