"""Exec: more processes in a running container."""

from __future__ import annotations

import msgspec

from shared.clock import now_ns
from shared.container_events import exec_event
from shared.contracts import executor
from shared.contracts.execs import ExecCreateRequest, ExecRef
from shared.errors import ShoalError
from shared.ids import new_id
from shared.streams.frames import STDOUT

from ..context import OK, Gateway, reply
from ..http import detach
from ..http.message import Request, Response
from ..http.router import Route
from ..http.wire import render_hijack
from ..relay import Convert, framed, relay, unframed
from ..translate import exec as shown
from ..translate.create import console_size, exec_request
from ..views import Container
from .attach import stream_type


async def create(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    wanted = exec_request("", data, request.version)  # what is wrong in itself comes before what is not there
    detach.parse(wanted.detach_keys, "escape")
    container = await gateway.container(request)
    asked = exec_request(container.id, data, request.version, request.params["id"], new_id())
    asked = msgspec.structs.replace(asked, at=now_ns())
    telling = None
    if _is_sure(asked, container):
        gateway.feed.ahead(exec_event(container.spec, "exec_create", asked.cmd, asked.exec_id, asked.at))
        telling = gateway.kernel.tasks.start(_tell(gateway, asked, container.node), "exec")
    elif error := await _tell(gateway, asked, container.node):
        raise error
    gateway.execs.add(asked.exec_id, container.node, asked, telling)
    return reply({"Id": asked.exec_id}, 201)


def _is_sure(asked: ExecCreateRequest, container: Container) -> bool:
    """Whether the executor will not refuse it, as far as can be seen here: then the client does not wait for that."""
    unlinked = not container.spec.host_config.links
    return container.status.state == "running" and bool(asked.cmd) and not asked.env and unlinked


async def _tell(gateway: Gateway, asked: ExecCreateRequest, node: str) -> ShoalError | None:
    """Lets the executor know; why it refuses."""
    try:
        await gateway.call(executor.EXEC_CREATE, asked, node)
    except ShoalError as error:
        return error
    return None


async def start(gateway: Gateway, request: Request) -> Response | None:
    data = await gateway.json(request)
    id, node = request.params["id"], node_of(gateway, request.params["id"])
    wanted = shown.start_request(id, data, console_size(data, request.version))
    await gateway.execs.told(id)
    if wanted.detach:
        await gateway.call(executor.EXEC_START, wanted, node)
        return OK
    asked = gateway.execs.begin(id)
    if asked is None:
        asked = (await gateway.call(executor.EXEC_INSPECT, ExecRef(exec_id=id), node)).request
    keys = detach.parse(asked.detach_keys)
    # docker-py loses what comes in one piece with the head: the head goes out before the process can say anything
    client = request.hijack(render_hijack(request.upgrade, stream_type(wanted.tty, request.version)))
    try:
        started = await gateway.call(executor.EXEC_START, wanted, node)
    except ShoalError as error:  # dockerd, too, tells what failed in the stream
        await client.write(shown.error_output(error.message, wanted.tty))
        client.close()
        return None
    if started.offer is None:
        client.close()
        return None
    channel = await gateway.kernel.streams.take(started.offer)
    stdin = asked.attach_stdin
    scanner = detach.Scanner(keys) if started.tty and stdin else None
    end = await relay(client, channel, stdin, scanner, _conversion(started.tty, wanted.tty))
    if end == "keys":
        await gateway.call(executor.DETACHED, executor.DetachedRequest(id=asked.id, exec_id=id), node)
    return None


def _conversion(terminal: bool, raw: bool) -> Convert | None:
    """Whether the client gets frames is said at the start; that need not fit what the exec was made with.

    Where it does not, dockerd frames the terminal's output, and keeps standard error from one who wants no frames.
    """
    if terminal == raw:
        return None
    return framed if terminal else unframed(STDOUT)


async def inspect(gateway: Gateway, request: Request) -> Response:
    id = request.params["id"]
    await gateway.execs.told(id)
    state = await gateway.call(executor.EXEC_INSPECT, ExecRef(exec_id=id), node_of(gateway, id))
    return reply(shown.inspect(state))


async def resize(gateway: Gateway, request: Request) -> Response:
    height, width = request.query.size("h", "resize height"), request.query.size("w", "resize width")
    id, node = request.params["id"], node_of(gateway, request.params["id"])
    await gateway.execs.told(id)
    state = await gateway.call(executor.EXEC_INSPECT, ExecRef(exec_id=id), node)
    wanted = executor.ResizeRequest(id=state.container_id, exec_id=id, height=height, width=width)
    await gateway.call(executor.RESIZE, wanted, node)
    return OK


def node_of(gateway: Gateway, exec_id: str) -> str:
    """The node whose executor knows the exec: its container's; this one when no record tells."""
    if node := gateway.execs.node(exec_id):
        return node
    for container in gateway.containers.all():
        if exec_id in container.status.exec_ids:
            return container.node
    return ""


ROUTES = (
    Route("POST", "/containers/{id}/exec", create, "ContainerExec"),
    Route("POST", "/exec/{id}/start", start, "ExecStart"),
    Route("POST", "/exec/{id}/resize", resize, "ExecResize"),
    Route("GET", "/exec/{id}/json", inspect, "ExecInspect"),
)
