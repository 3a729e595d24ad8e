"""Building images."""

from __future__ import annotations

import msgspec

from shared.contracts import builder
from shared.errors import InvalidArgument
from shared.streams import Channel
from shared.tasks import TaskGroup

from ..context import OK, Gateway, reply
from ..http.errors import refusal
from ..http.inbox import ClientGone
from ..http.message import JSON, Request, Response
from ..http.router import Route
from ..progress import error_line
from ..translate import filters
from ..translate.build import build_request

_LOST = "the builder ended before the build; try again"


async def build(gateway: Gateway, request: Request) -> Response | None:
    asked = build_request(request.query, request.headers, request.version)
    channel = await gateway.kernel.streams.take(await gateway.call(builder.BUILD, asked))
    tasks = TaskGroup("build")
    tasks.start(_upload(request, channel), "context")
    try:
        return await _answer(gateway, request, channel)
    finally:
        await tasks.close()  # before the descriptor they wait on is closed
        channel.close()


async def _upload(request: Request, channel: Channel) -> None:
    """The context. A client that leaves takes its build with it."""
    try:
        while data := await request.body.read():
            await channel.write(data)
        await channel.write_eof()
    except ClientGone:
        channel.close()
    except ConnectionError:
        return  # the builder has seen enough; its answer says why


async def _answer(gateway: Gateway, request: Request, channel: Channel) -> Response | None:
    """The build's lines. An error before all others is an HTTP error; a builder that ends leaves an error line."""
    try:
        data = await channel.read()
    except OSError:
        data = b""
    if not data:
        return refusal(503, _LOST, close=True)
    failure = error_line(data)
    if failure is not None:
        return failure
    stream = request.stream(JSON)
    whole = False
    try:
        while data:
            whole = data == builder.END or data.endswith(b"\r\n" + builder.END)
            gateway.sources.images.changed()  # the stream may be faster than the signal of what it tells of
            await stream.write(data[: -len(builder.END)] if whole else data)
            data = await channel.read()
    except ClientGone:
        raise
    except ConnectionError:
        whole = False
    if not whole:
        await stream.write(msgspec.json.encode({"errorDetail": {"message": _LOST}, "error": _LOST}) + b"\r\n")
    return None


async def prune(gateway: Gateway, request: Request) -> Response:
    query = request.query
    limits = ("reserved-space", "keep-storage", "max-used-space")
    keep = next((size for name in limits if (size := query.integer(name))), 0)
    asked = builder.PruneRequest(
        all=query.flag("all"),
        filters=filters.parse(query.get("filters"), ("until", "unused-for", "id", "parent", "type", "description",
                                                     "inuse", "shared", "private", "label", "label!")),
        keep=keep,
    )  # fmt: skip
    done = await gateway.call(builder.PRUNE, asked)
    return reply({"CachesDeleted": list(done.removed) or None, "SpaceReclaimed": done.bytes_freed})


async def cancel(gateway: Gateway, request: Request) -> Response:
    if not request.query.get("id"):
        raise InvalidArgument("build ID not provided")
    await gateway.call(builder.CANCEL, builder.CancelRequest(id=request.query.get("id")))
    return OK


ROUTES = (
    Route("POST", "/build", build, "ImageBuild"),
    Route("POST", "/build/prune", prune, "BuildPrune"),
    Route("POST", "/build/cancel", cancel, "BuildCancel"),
)
