"""Health checks: probes of running containers, each at its time.

Between two probes a container has a timer of the event loop and nothing else. What a probe finds is written with
the container's status, so whoever takes over goes on where this process was.
"""

from __future__ import annotations

import asyncio
import logging

from shared import signals, telemetry
from shared.clock import now_ns
from shared.contracts import platform
from shared.contracts.common import StreamOffer
from shared.contracts.container import Health, HealthLog
from shared.contracts.execs import ExecCreateRequest, ExecStartReply, ExecStartRequest
from shared.errors import Conflict, DeadlineExceeded, NotFound, ShoalError, Unavailable
from shared.streams.frames import Deframer

from ..container import Container
from ..domain import status
from ..domain.health import NO_VERDICT, Check, Output, check_of, timed_out
from ..domain.text import SECOND
from . import execs
from .engine import Engine, patiently
from .exec_table import Exec

log = logging.getLogger(__name__)

START_PATIENCE = 30.0
"""Seconds a probe may take to be started; they do not count as its own time."""
KILL_PATIENCE = 30.0
"""Seconds from SIGKILL to the report of a probe's end."""


def watch(engine: Engine, container: Container) -> None:
    """It runs from now on: the first probe comes in one interval. Nothing for a container without a check."""
    check = check_of(container.spec.config)
    if check is not None:
        _begin(engine, container, check, _pause(container, check))


def unwatch(container: Container) -> None:
    """It is paused or has ended; a probe under way is broken off. Whoever calls holds the container's lock."""
    if container.probing is not None:
        container.probing.cancel()
        container.probing = None


def take_over(engine: Engine) -> None:
    """All that run and are not watched: a process before this one watched them, or nobody saw them start."""
    for container in engine.registry:
        check, last = check_of(container.spec.config), container.status
        if check is None or container.probing is not None or last.state != "running" or container.held_for:
            continue
        state = last.health or Health(status="starting")
        if state.probe:
            engine.tasks.start(_end_left_over(engine, container.id, state.probe), "probe")
        _begin(engine, container, check, check.due(state, last.started_at, now_ns()))


async def _end_left_over(engine: Engine, container_id: str, exec_id: str) -> None:
    """A probe whose output nobody reads any more."""
    execution = engine.execs.get(exec_id)
    if execution is not None and not execution.over.is_set():
        await _kill(engine, container_id, exec_id)


def _begin(engine: Engine, container: Container, check: Check, first: int) -> None:
    unwatch(container)
    container.probing = engine.tasks.start(_watched(engine, container, check, first), "health check")


def _pause(container: Container, check: Check) -> int:
    state = container.status.health or Health(status="starting")
    return check.pause(state, now_ns() - container.status.started_at)


async def _watched(engine: Engine, container: Container, check: Check, first: int) -> None:
    """Probe after probe, the first in `first` nanoseconds, each a pause after the end of the one before."""
    pause = first
    while True:
        await asyncio.sleep(pause / SECOND)
        with telemetry.linked_span("health check", ()):
            telemetry.annotate(container=container.id)
            await _probe(engine, container, check)
        pause = _pause(container, check)


async def _probe(engine: Engine, container: Container, check: Check) -> None:
    begun, started_at = now_ns(), container.status.started_at
    found = await _run(engine, container, check)
    if found is not None:
        code, output = found
        await _record(engine, container, check, HealthLog(begun, now_ns(), code, output), started_at)


async def _record(engine: Engine, container: Container, check: Check, result: HealthLog, started_at: int) -> None:
    """Called off while it waits for the lock, a probe has no result."""
    async with container.lock:
        before = container.status.health or Health(status="starting")
        after = check.observed(before, started_at, result)
        live = engine.execs.live(container.id)
        await engine.save(container, status.with_health(container.status, after, live))
        if after.status != before.status:
            engine.tell(container, f"health_status: {after.status}")


async def _run(engine: Engine, container: Container, check: Check) -> tuple[int, str] | None:
    """Exit code and output of a probe; None where the engine, not the container, was in the way."""
    if not check.command:
        return NO_VERDICT, f"healthcheck for container {container.id} has no command"
    request = ExecCreateRequest(id=container.id, cmd=check.command, attach_stdout=True, attach_stderr=True)
    try:
        exec_id = execs.create(engine, request).exec_id
        container.probe = exec_id
        return await _executed(engine, container.id, exec_id, check)
    except (Unavailable, DeadlineExceeded, Conflict, NotFound) as error:
        log.info("health check of %s: %s", container.id, error)
        return None
    except ShoalError as error:
        return NO_VERDICT, error.message
    finally:
        container.probe = ""


async def _executed(engine: Engine, container_id: str, exec_id: str, check: Check) -> tuple[int, str]:
    execution = engine.execs.get(exec_id)
    assert execution is not None
    output = Output()
    starting = engine.tasks.start(_start(engine, exec_id), "probe")
    try:
        async with asyncio.timeout(START_PATIENCE):
            reply = await asyncio.shield(starting)
        if isinstance(reply, ShoalError):
            raise reply
        async with asyncio.timeout(check.timeout / SECOND):
            await _read(engine, reply.offer, output)
            await execution.over.wait()
    except TimeoutError:
        if not starting.done():
            return NO_VERDICT, f"timed out starting health check for container {container_id}"
        await _kill(engine, container_id, exec_id)
        await _over(execution)
        return NO_VERDICT, timed_out(check.timeout, output.text())
    finally:
        if not execution.over.is_set():
            engine.tasks.start(_abandon(engine, execution, starting), "probe")
    code = execution.exit_code
    return (NO_VERDICT if code is None else code), output.text()


async def _start(engine: Engine, exec_id: str) -> ExecStartReply | ShoalError:
    """Carried through once begun; a refusal is an answer, no failure of the task."""
    try:
        return await execs.start(engine, ExecStartRequest(exec_id=exec_id))
    except ShoalError as refusal:
        return refusal


async def _abandon(engine: Engine, execution: Exec, starting: asyncio.Task[ExecStartReply | ShoalError]) -> None:
    """A probe that was called off ends, also when it was only just being started."""
    await asyncio.wait((starting,))
    if not execution.over.is_set():
        await _kill(engine, execution.request.id, execution.id)


async def _read(engine: Engine, offer: StreamOffer | None, output: Output) -> None:
    """To the end of the probe's output; what a platform that dies takes with it is lost, not waited for."""
    assert offer is not None
    try:
        channel = await engine.streams.take(offer)
    except Unavailable:
        return
    deframer = Deframer()
    try:
        while data := await channel.read():
            for _, payload in deframer.feed(data):
                output.add(payload)
    except (ConnectionError, ValueError) as error:
        log.info("output of a health check: %r", error)
    finally:
        channel.close()


async def _kill(engine: Engine, container_id: str, exec_id: str) -> None:
    request = platform.SignalRequest(id=container_id, exec_id=exec_id, signal=signals.SIGKILL)

    async def send() -> None:
        try:
            await engine.bus.call(platform.SIGNAL, request)
        except (Conflict, NotFound) as error:
            log.info("probe %s: %s", exec_id, error)  # it has ended, and perhaps its container too

    await patiently("probe", send)


async def _over(execution: Exec) -> None:
    try:
        async with asyncio.timeout(KILL_PATIENCE):
            await execution.over.wait()
    except TimeoutError:
        log.warning("health check %s did not end", execution.id)
