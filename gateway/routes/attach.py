"""Attach and logs: a container's own streams."""

from __future__ import annotations

import msgspec

from shared.contracts import executor
from shared.errors import Conflict, InvalidArgument
from shared.streams import Channel

from ..context import Gateway
from ..following import following
from ..http import detach, websocket
from ..http.message import Request
from ..http.router import Route
from ..http.version import Version
from ..http.wire import MULTIPLEXED_STREAM, RAW_STREAM, render_hijack
from ..relay import End, relay, send_out, unframed
from ..translate import times
from ..views import Container


def stream_type(tty: bool, version: Version) -> str:
    """Raw for a terminal; frames have a name of their own since 1.42."""
    return RAW_STREAM if tty or version < (1, 42) else MULTIPLEXED_STREAM


def check_attachable(container: Container, reference: str) -> None:
    if container.status.state == "paused":
        raise Conflict(f"container {reference} is paused, unpause the container before attach")
    if container.status.state == "restarting":
        raise Conflict(f"container {reference} is restarting, wait until the container is running")


def attach_request(container: Container, request: Request) -> executor.AttachRequest:
    query = request.query
    return executor.AttachRequest(
        id=container.id,
        stdin=query.flag("stdin") and container.spec.config.open_stdin,
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        stream=query.flag("stream"),
        logs=query.flag("logs"),
    )


async def attach(gateway: Gateway, request: Request) -> None:
    keys = detach.parse(request.query.get("detachKeys"))
    container = await gateway.container(request)
    check_attachable(container, request.params["id"])
    wanted, tty = attach_request(container, request), container.spec.config.tty
    offer = await gateway.call(executor.ATTACH, wanted, container.node)
    # docker-py loses what comes in one piece with the head: the head goes out before the stream is asked for
    client = request.hijack(render_hijack(request.upgrade, stream_type(tty, request.version)))
    channel = _followed(gateway, container, wanted, await gateway.kernel.streams.take(offer))
    scanner = detach.Scanner(keys) if tty and wanted.stdin else None
    await told(gateway, container, await relay(client, channel, wanted.stdin, scanner))


def _followed(gateway: Gateway, container: Container, wanted: executor.AttachRequest, channel: Channel) -> Channel:
    """Goes on where the container goes."""
    if not wanted.stream or container.status.state != "running":
        return channel
    logs = executor.LogsRequest(id=container.id, stdout=wanted.stdout, stderr=wanted.stderr)
    return following(gateway, container, channel, logs, wanted.stdin)


async def told(gateway: Gateway, container: Container, end: End) -> None:
    """A client that went while the container stayed has detached from it."""
    if end != "ended":
        await gateway.call(executor.DETACHED, executor.DetachedRequest(id=container.id), container.node)


async def attach_ws(gateway: Gateway, request: Request) -> None:
    """Attach over WebSocket: binary messages without Docker's frames; all three streams before 1.42."""
    keys = detach.parse(request.query.get("detachKeys"))
    container = await gateway.container(request)
    check_attachable(container, request.params["id"])
    wanted, tty = attach_request(container, request), container.spec.config.tty
    if request.version < (1, 42):
        stdin = container.spec.config.open_stdin
        wanted = msgspec.structs.replace(wanted, stdin=stdin, stdout=True, stderr=True)
    websocket.check(request)
    offer = await gateway.call(executor.ATTACH, wanted, container.node)
    channel = _followed(gateway, container, wanted, await gateway.kernel.streams.take(offer))
    client = websocket.accept(request)
    scanner = detach.Scanner(keys) if tty and wanted.stdin else None
    end = await relay(client, channel, wanted.stdin, scanner, None if tty else unframed())
    await told(gateway, container, end)


async def logs(gateway: Gateway, request: Request) -> None:
    query = request.query
    stdout, stderr = query.flag("stdout"), query.flag("stderr")
    if not stdout and not stderr:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    wanted = executor.LogsRequest(
        id="",
        stdout=stdout,
        stderr=stderr,
        follow=query.flag("follow"),
        since=times.unix(query.get("since"), "since"),
        until=times.unix(query.get("until"), "until"),
        tail=tail(query.get("tail")),
        timestamps=query.flag("timestamps"),
        details=query.flag("details"),
    )
    await _send_logs(gateway, request, wanted)


def tail(text: str) -> int:
    """Lines from the end; what is not a number means all (as dockerd has it)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


async def _send_logs(gateway: Gateway, request: Request, wanted: executor.LogsRequest) -> None:
    container = await gateway.container(request)
    asked = msgspec.structs.replace(wanted, id=container.id)
    offer = await gateway.call(executor.LOGS, asked, container.node)
    channel = await gateway.kernel.streams.take(offer)
    if wanted.follow and not wanted.until and container.status.state == "running":
        channel = following(gateway, container, channel, wanted)
    kind = stream_type(container.spec.config.tty, request.version)
    await send_out(channel, request.stream((("Content-Type", kind),)))


ROUTES = (
    Route("POST", "/containers/{id}/attach", attach, "ContainerAttach"),
    Route("GET", "/containers/{id}/attach/ws", attach_ws, "ContainerAttachWebsocket"),
    Route("GET", "/containers/{id}/logs", logs, "ContainerLogs"),
)
