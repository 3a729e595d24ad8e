"""Ping, version, info, events, disk usage."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec

from shared.contracts import image_store, platform, volume
from shared.contracts.base import Empty
from shared.errors import InvalidArgument

from .. import everywhere
from ..context import Gateway, reply
from ..events import stream_events
from ..http.message import Request, Response
from ..http.router import Route
from ..sources import Unchanged
from ..translate import system, usage
from ..translate.merged import merged
from .containers import usage_by_id
from .volumes import users

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
    """Of all hosts together; images that several have count once, their layers on each."""
    asked = image_store.ListRequest(all=False, shared_size=True)
    images, layers, containers, volumes, sizes = await asyncio.gather(
        everywhere.ask_all(gateway, image_store.LIST, lambda _: asked),
        everywhere.ask_all(gateway, image_store.USAGE, lambda _: image_store.UsageRequest()),
        usage_by_id(gateway),
        everywhere.ask_all(gateway, volume.LIST, lambda _: volume.ListRequest()),
        everywhere.ask_all(gateway, volume.USAGE, lambda _: Empty()),
    )
    names = everywhere.called(gateway, {node: [one.name for one in told.volumes] for node, told in volumes.items()})
    used = usage.Used(
        containers=gateway.containers.all(),
        container_sizes=containers,
        images=merged(list(images.values())),
        layers=sum(told.layers for told in layers.values()),
        volumes=[
            usage.volume_entry(
                msgspec.structs.replace(one, name=names[node, one.name]),
                users=len(users(gateway, node).get(one.name, ())),
                size=sizes[node].sizes.get(one.name, -1) if node in sizes else -1,
            )
            for node, told in volumes.items()
            for one in told.volumes
        ],
    )
    return usage.disk_usage(kinds, used, request.version, verbose=request.query.flag("verbose"))


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
