"""Further processes in a running container."""

from __future__ import annotations

import asyncio
import re

from shared.clock import now_ns
from shared.container_events import exec_event
from shared.contracts import platform
from shared.contracts.execs import ExecCreateRequest, ExecRef, ExecStartReply, ExecStartRequest, ExecState
from shared.contracts.executor import ResizeRequest
from shared.errors import Conflict, InvalidArgument, NotFound, ShoalError
from shared.ids import new_id

from ..container import Container
from ..domain import failure, lifecycle, status
from ..domain.validation.config import check_environment
from ..domain.workload import exec_process
from . import links, release
from .engine import Engine
from .exec_table import Exec

_ID = re.compile("[0-9a-f]{64}")


def create(engine: Engine, request: ExecCreateRequest) -> ExecRef:
    """Made, not started. `Conflict` where the container does not run, is paused or restarting."""
    container = engine.registry.get(request.id)
    lifecycle.check_exec(container.status.state, container.id, request.called)
    if not request.cmd:
        raise InvalidArgument("No exec command specified")
    check_environment(request.env)
    links.environment(engine, container)  # also for what it refuses
    if request.exec_id and not _ID.fullmatch(request.exec_id):
        raise InvalidArgument(f"invalid exec id: {request.exec_id[:80]!r}")
    if engine.execs.get(request.exec_id):
        return ExecRef(exec_id=request.exec_id)
    execution = Exec(request.exec_id or new_id(), request)
    engine.execs.add(execution)
    engine.emit(exec_event(container.spec, "exec_create", request.cmd, execution.id, request.at or now_ns()))
    return ExecRef(exec_id=execution.id)


def _found(engine: Engine, exec_id: str) -> Exec:
    execution = engine.execs.get(exec_id)
    if execution is None:
        raise NotFound(f"No such exec instance: {exec_id}")
    return execution


def _active(engine: Engine, execution: Exec) -> Container:
    container = engine.registry.find(execution.request.id)
    if container is None:
        raise NotFound(f"container {execution.request.id} is not running")
    lifecycle.check_exec(container.status.state, container.id)
    return container


SHOW_SECONDS = 0.1
"""An attached exec that takes longer is in its container's status."""


async def start(engine: Engine, request: ExecStartRequest) -> ExecStartReply:
    """Starts it once. Attached, it waits until the offered stream is taken, so that no byte is lost."""
    execution = _found(engine, request.exec_id)
    container = _active(engine, execution)
    if container.held_for:  # it stands still, to be moved: what comes after that will be seen then
        async with container.lock:
            pass
    if execution.exit_code is not None:
        raise Conflict(f"exec command {execution.id} has already run")
    if execution.started:
        raise Conflict(f"exec command {execution.id} is already running")
    engine.execs.begin(execution)
    engine.emit(exec_event(container.spec, "exec_start", execution.request.cmd, execution.id, now_ns()))
    if request.detach:
        _show(engine, container)
    else:  # most have ended by then, and nothing is written for them
        asyncio.get_running_loop().call_later(SHOW_SECONDS, _show, engine, container)
    try:
        reply = await engine.bus.call(platform.EXEC, _platform_request(engine, container, execution, request))
    except ShoalError as error:
        failed = failure.of_start(error)
        code = failure.NOT_EXECUTABLE if failed.code == failure.UNKNOWN else failed.code
        engine.execs.end(execution, code)
        _show(engine, container)
        raise failed.error from None
    execution.pid = reply.pid
    return ExecStartReply(offer=reply.offer, tty=execution.request.tty)


def _show(engine: Engine, container: Container) -> None:
    """The status tells which execs are live; nobody waits for that."""
    if not container.showing and engine.execs.live(container.id) != container.status.exec_ids:
        container.showing = True
        engine.tasks.start(_write(engine, container), "exec ids")


async def _write(engine: Engine, container: Container) -> None:
    async with container.lock:
        container.showing = False
        live = engine.execs.live(container.id)
        if container.status.state in lifecycle.ALIVE and live != container.status.exec_ids and not container.removing:
            probe = container.probe if container.probe in live else ""
            await engine.save(container, status.with_execs(container.status, live, probe))


def _platform_request(
    engine: Engine, container: Container, execution: Exec, request: ExecStartRequest
) -> platform.ExecRequest:
    size = request.console_size if any(request.console_size) else execution.request.console_size
    return platform.ExecRequest(
        id=container.id,
        exec_id=execution.id,
        process=exec_process(container.spec, execution.request, size, links.environment(engine, container)),
        attach=not request.detach,
    )


def inspect(engine: Engine, request: ExecRef) -> ExecState:
    """What is known of it; `NotFound` for one that was not started before its container stopped."""
    return _found(engine, request.exec_id).state()


async def ended(engine: Engine, exec_id: str, container_id: str, exit_code: int) -> None:
    """The platform's report; known to `inspect` before anything is awaited."""
    adopt(engine, exec_id, container_id, exit_code)
    container = engine.registry.find(container_id)
    if container is not None:
        engine.tell(container, "exec_die", execID=exec_id, exitCode=str(exit_code))
        if container.probe != exec_id:  # else it is written with what the health check found
            _show(engine, container)
    release.exec_record(engine, exec_id)


async def resize(engine: Engine, request: ResizeRequest) -> None:
    """The terminal of a container, or of one of its execs."""
    if request.exec_id:
        execution = _found(engine, request.exec_id)
        if execution.exit_code is not None:
            raise NotFound(f"exec {execution.id} has ended: no such exec")
        if not execution.running:
            raise InvalidArgument("exec process is not started")
        await engine.bus.call(platform.RESIZE, request)
        return
    container = engine.registry.get(request.id)
    lifecycle.check_running(container.status.state, container.id)
    await engine.bus.call(platform.RESIZE, request)
    engine.tell(container, "resize", height=str(request.height), width=str(request.width))


def adopt(engine: Engine, exec_id: str, container_id: str, exit_code: int | None) -> None:
    """What is known of an exec: that it runs (`exit_code` None), or how it ended.

    One begun by an executor before this one is taken over; what was asked of it is forgotten.
    """
    execution = engine.execs.get(exec_id)
    if execution is None:
        execution = Exec(exec_id, ExecCreateRequest(id=container_id, cmd=()))
        engine.execs.add(execution)
        engine.execs.begin(execution)
    if exit_code is not None and execution.exit_code is None:
        engine.execs.end(execution, exit_code)
