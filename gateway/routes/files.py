"""What is in a container's file system: changes, export, copies."""

from __future__ import annotations

import msgspec

from shared.contracts import executor
from shared.contracts.common import Ref, StreamOffer
from shared.contracts.execs import PathRequest, PathStat, WriteRequest
from shared.contracts.image_store import Change
from shared.errors import InvalidArgument

from ..context import Gateway, reply
from ..http.errors import refusal
from ..http.message import Headers, Request, Response
from ..http.router import Route
from ..progress import deliver, download
from ..translate.files import path_stat


async def changes(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    offer = await gateway.call(executor.CHANGES, Ref(id=container.id), container.node)
    lines = await _whole(gateway, offer)
    if lines is None:
        return refusal(503, "the image store ended the transfer; try again")
    found = [msgspec.json.decode(line, type=Change) for line in lines.splitlines()]
    return reply([{"Path": change.path, "Kind": change.kind} for change in found] or None)


async def export(gateway: Gateway, request: Request) -> Response | None:
    container = await gateway.container(request)
    offer = await gateway.call(executor.EXPORT, Ref(id=container.id), container.node)
    return await download(gateway, request, offer, (("Content-Type", "application/octet-stream"),), archive=True)


async def stat(gateway: Gateway, request: Request) -> Response:
    wanted, node = await _asked(gateway, request)
    return Response(200, b"", _headers(await gateway.call(executor.STAT_PATH, wanted, node)))


async def read(gateway: Gateway, request: Request) -> Response | None:
    wanted, node = await _asked(gateway, request)
    found = await gateway.call(executor.READ_ARCHIVE, wanted, node)
    headers = (*_headers(found.stat), ("Content-Type", "application/x-tar"))
    return await download(gateway, request, found.offer, headers, archive=True)


async def write(gateway: Gateway, request: Request) -> Response | None:
    wanted, node = await _asked(gateway, request)
    offer = await gateway.call(
        executor.WRITE_ARCHIVE,
        WriteRequest(
            id=wanted.id,
            path=wanted.path,
            reference=wanted.reference,
            no_overwrite_dir_non_dir=request.query.flag("noOverwriteDirNonDir"),
            copy_uid_gid=request.query.flag("copyUIDGID"),
        ),
        node,
    )
    return await deliver(gateway, request, offer)


async def _asked(gateway: Gateway, request: Request) -> tuple[PathRequest, str]:
    """What is asked for, and of which node."""
    path = request.query.get("path")
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    if "\0" in path:
        raise InvalidArgument("invalid path: it must not contain NUL bytes")
    container = await gateway.container(request)
    return PathRequest(id=container.id, path=path, reference=request.params["id"]), container.node


def _headers(found: PathStat) -> Headers:
    return (("X-Docker-Container-Path-Stat", path_stat(found)),)


async def _whole(gateway: Gateway, offer: StreamOffer) -> bytes | None:
    """All that an offered stream has; None when it is broken off."""
    channel = await gateway.kernel.streams.take(offer)
    try:
        parts = []
        while data := await channel.read():
            parts.append(data)
        return b"".join(parts)
    except ConnectionError:
        return None
    finally:
        channel.close()


ROUTES = (
    Route("GET", "/containers/{id}/changes", changes, "ContainerChanges"),
    Route("GET", "/containers/{id}/export", export, "ContainerExport"),
    Route("HEAD", "/containers/{id}/archive", stat, "ContainerArchiveInfo"),
    Route("GET", "/containers/{id}/archive", read, "ContainerArchive"),
    Route("PUT", "/containers/{id}/archive", write, "PutContainerArchive"),
)
