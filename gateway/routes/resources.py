"""What a container uses, and what it may use: stats and update."""

from __future__ import annotations

import msgspec

from shared.contracts import executor
from shared.errors import InvalidArgument

from ..context import Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..translate import stats as shown
from ..translate.ports import ports_request
from ..translate.ports import show as show_ports
from ..translate.update import update_request
from ..views import Container

AGE = 500_000_000
"""Nanoseconds that must lie between the two samples of an answer that is no stream."""


async def stats(gateway: Gateway, request: Request) -> Response | None:
    container = await gateway.container(request)
    stream = request.query.flag("stream", True)
    one_shot = request.query.flag("one-shot") and request.version >= (1, 41)
    if stream and one_shot:
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    if stream:
        await _stream(gateway, request, container)
        return None
    alive = container.status.state in ("running", "paused")
    if one_shot or not alive:
        sample = (await gateway.sampler.once(container.id)).get(container.id) if alive else None
        return reply(shown.response(container.id, container.spec.name, sample, None, request.version))
    return await _after_a_second(gateway, request, container)


async def _stream(gateway: Gateway, request: Request, container: Container) -> None:
    """A line a second, of a container that does not run too, until it is removed or the client goes."""
    before = None
    async with gateway.sampler.listen(container.id) as listener:
        output = request.stream(())
        while True:
            sample = await listener.next()
            if (now := gateway.containers.get(container.id)) is None:
                return
            line = shown.response(now.id, now.spec.name, sample, before, request.version)
            await output.write(msgspec.json.encode(line) + b"\n")
            before = sample


async def _after_a_second(gateway: Gateway, request: Request, container: Container) -> Response:
    """Two samples: the processor's use is the difference."""
    async with gateway.sampler.listen(container.id) as listener:
        before = await listener.next()
        sample = await listener.next()
        while sample is not None and before is not None and sample.read - before.read < AGE:
            sample = await listener.next()
    if sample is None:
        before = None
    return reply(shown.response(container.id, container.spec.name, sample, before, request.version))


async def update(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    if data is None:
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    container = await gateway.container(request)
    wanted, warnings = update_request(container.id, data, request.version)
    done = await gateway.call(executor.UPDATE, wanted, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return reply({"Warnings": [*warnings, *done.warnings] or None})


async def ports(gateway: Gateway, request: Request) -> Response:
    """Ours alone: published ports of a container change while it runs."""
    container = await gateway.container(request)
    wanted = ports_request(container.id, await gateway.json(request))
    done = await gateway.call(executor.PORTS, wanted, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return reply({"Ports": show_ports(done.ports)})


ROUTES = (
    Route("GET", "/containers/{id}/stats", stats, "ContainerStats"),
    Route("POST", "/containers/{id}/update", update, "ContainerUpdate"),
    Route("POST", "/containers/{id}/ports", ports, "ContainerPorts"),
)
