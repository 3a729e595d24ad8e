"""Attaching, logs and the process list: the platform offers, the executor checks and tells."""

from __future__ import annotations

import socket

import msgspec

from shared.contracts import platform
from shared.contracts.common import StreamOffer
from shared.contracts.executor import AttachRequest, DetachedRequest, LogsRequest, TopReply, TopRequest
from shared.errors import InvalidArgument, NotImplementedYet

from ..domain import lifecycle
from ..domain import logs as containerlogs
from .engine import Engine


async def attach(engine: Engine, request: AttachRequest) -> StreamOffer:
    """Also of a container that does not run yet: the stream begins with its process."""
    container = engine.registry.get(request.id)
    lifecycle.check_attach(container.status.state, container.spec.name)
    offer = await engine.bus.call(platform.ATTACH, request)
    engine.tell(container, "attach")
    # Before the start only the record knows whether there will be a terminal.
    return msgspec.structs.replace(offer, framed=not container.spec.config.tty)


def detached(engine: Engine, request: DetachedRequest) -> None:
    """Told in Docker's events, unless the container has ended meanwhile."""
    container = engine.registry.get(request.id)
    if request.exec_id:
        engine.tell(container, "exec_detach", execID=request.exec_id)
    elif container.running:
        engine.tell(container, "detach")


async def logs(engine: Engine, request: LogsRequest) -> StreamOffer:
    """What it wrote, from the platform's log file."""
    if not (request.stdout or request.stderr):
        raise InvalidArgument("You must choose at least one stream")
    container = engine.registry.get(request.id)
    lifecycle.check_logs("removing" if container.removing else container.status.state)
    asked = container.spec.host_config.log_config
    if not containerlogs.readable(asked):
        raise NotImplementedYet("configured logging driver does not support reading")
    wanted = msgspec.structs.replace(
        request,
        bound=containerlogs.bound(asked),
        attributes=containerlogs.attributes(container.spec, socket.gethostname()) if request.details else {},
    )
    return await engine.bus.call(platform.LOGS, wanted)


async def top(engine: Engine, request: TopRequest) -> TopReply:
    """Its processes as ps(1) on the host shows them."""
    container = engine.registry.get(request.id)
    lifecycle.check_top(container.status.state, container.id)
    reply = await engine.bus.call(platform.TOP, request)
    engine.tell(container, "top")
    return reply
