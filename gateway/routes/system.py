"""Ping, version, info, events, disk usage."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from shared.contracts import image_store, platform, volume
from shared.contracts.base import Empty
from shared.errors import InvalidArgument

from ..context import Gateway, reply
from ..events import stream_events
from ..http.message import Request, Response
from ..http.router import Route
from ..sources import Unchanged
from ..translate import system, usage
from .containers import usage_by_id

_PING = (
    ("Builder-Version", "1"),  # the classic builder
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)
_PONG = Response(200, b"OK", _PING, fresh=Unchanged())
_PONG_HEAD = Response(200, b"", _PING, fresh=Unchanged())
_USAGE_KINDS = frozenset(("container", "image", "volume", "build-cache"))


async def ping(gateway: Gateway, request: Request) -> Response:
    return _PONG


async def ping_head(gateway: Gateway, request: Request) -> Response:
    return _PONG_HEAD


async def version(gateway: Gateway, request: Request) -> Response:
    fresh = Unchanged(gateway.sources.host)
    host = await gateway.call(platform.HOST, Empty())
    return reply(system.version(host), fresh=fresh)


async def info(gateway: Gateway, request: Request) -> Response:
    host, images = await asyncio.gather(gateway.call(platform.HOST, Empty()), _number_of_images(gateway))
    states = [container.status.state for container in gateway.containers.all()]
    kernel = gateway.kernel
    activity = system.Activity(len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), gateway.feed.listeners)
    return reply(system.info(kernel.settings, kernel.node, host, states, images, request.version, activity))


async def _number_of_images(gateway: Gateway) -> int:
    """How many there are; asked for again only when that may have changed."""
    if gateway.images is None or not gateway.images[0].holds():
        fresh = Unchanged(gateway.sources.images)
        listed = await gateway.call(image_store.LIST, image_store.ListRequest(all=True))
        gateway.images = (fresh, len(listed.images))
    return gateway.images[1]


async def events(gateway: Gateway, request: Request) -> None:
    await stream_events(gateway, request)


async def disk_usage(gateway: Gateway, request: Request) -> Response:
    kinds = frozenset(request.query.all("type")) if request.version >= (1, 42) else frozenset()
    for kind in kinds - _USAGE_KINDS:
        raise InvalidArgument(f"unknown object type: {kind}")
    return reply(await _usage(gateway, request, kinds or _USAGE_KINDS))


async def _usage(gateway: Gateway, request: Request, kinds: frozenset[str]) -> dict[str, Any]:
    images, layers, containers, volumes, sizes = await asyncio.gather(
        gateway.call(image_store.LIST, image_store.ListRequest(all=False, shared_size=True)),
        gateway.call(image_store.USAGE, image_store.UsageRequest()),
        usage_by_id(gateway, (gateway.kernel.node,)),
        gateway.call(volume.LIST, volume.ListRequest()),
        gateway.call(volume.USAGE, Empty()),
    )
    return usage.disk_usage(
        kinds, gateway.containers.own(), images, layers, containers, volumes, sizes, request.version,
        verbose=request.query.flag("verbose"),
    )  # fmt: skip


async def options(gateway: Gateway, request: Request) -> Response:
    return Response(200)


ROUTES = (
    Route("GET", "/_ping", ping, "SystemPing", traced=False),
    Route("HEAD", "/_ping", ping_head, "SystemPingHead", traced=False),
    Route("GET", "/version", version, "SystemVersion"),
    Route("GET", "/info", info, "SystemInfo"),
    Route("GET", "/events", events, "SystemEvents"),
    Route("GET", "/system/df", disk_usage, "SystemDataUsage"),
)
