"""RUN: a container of the image so far, whose changes become a layer."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from shared import telemetry
from shared.contracts.builder import ANNOTATION
from shared.contracts.container import HostConfig, LogConfig, MountRequest
from shared.errors import InvalidArgument, ShoalError

from ..domain import output, steps
from ..domain.steps import Execute, State
from .engine import Build
from .mounting import mounted


class CommandFailed(ShoalError):
    """A RUN ended with another code than 0: `exit_code`."""

    kind, code = "invalid_argument", 400

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


async def run(build: Build, position: int, state: State, step: Execute) -> State:
    """The state after it; raises `CommandFailed`, or why the command cannot be started."""
    image = await build.cached(state, step.history)
    if image is not None:
        build.show(position, " ---> Using cache\n")
        return replace(state, image_id=image.id)
    if not state.image_id:
        raise InvalidArgument(f'exec: "{step.words[0]}": stat {step.words[0]}: no such file or directory')
    await build.begin_running()
    async with mounted(build, position, step) as mounts:
        return await _run(build, position, state, step, mounts)


async def _run(build: Build, position: int, state: State, step: Execute, mounts: tuple[MountRequest, ...]) -> State:
    made = await build.containers.create(steps.container_config(step), _host_config(build, step, mounts))
    for warning in made.warnings:
        build.show(position, f" ---> [Warning] {warning}\n")
    build.show(position, f" ---> Running in {output.short(made.id)}\n")
    with telemetry.span("run", container=made.id):
        return await _ran(build, position, state, step, made.id)


async def _ran(build: Build, position: int, state: State, step: Execute, container: str) -> State:
    try:
        await _execute(build, position, step, container)
    except CommandFailed:
        if build.request.force_remove:
            await _remove(build, position, container)
        else:
            build.containers.keep(container)  # to be looked at, as Docker has it
        raise
    after = replace(step.state, image_id=state.image_id)
    image = await build.keep(after, step.history, container)
    if build.request.remove:
        await _remove(build, position, container)
    else:
        build.containers.keep(container)
    return replace(state, image_id=image.id)


async def _execute(build: Build, position: int, step: Execute, container: str) -> None:
    async def shown(stream: int, text: str) -> None:
        build.show(position, text if stream == 1 else f"\x1b[91m{text}\x1b[0m")
        await build.screen.room()

    code = await build.containers.run(container, shown)
    if code:
        raise CommandFailed(f"The command '{' '.join(step.words)}' returned a non-zero code: {code}", code)


async def _remove(build: Build, position: int, container: str) -> None:
    await build.containers.remove(container)
    build.show(position, f"Removing intermediate container {output.short(container)}\n")


def _host_config(build: Build, step: Execute, mounts: tuple[MountRequest, ...]) -> HostConfig:
    asked = build.request.host_config
    network = step.network or asked.network_mode
    return msgspec.structs.replace(
        asked,
        network_mode="default" if network in ("", "default") else network,
        log_config=LogConfig(type="none"),
        mounts=mounts,
        annotations={ANNOTATION: build.id},
    )
