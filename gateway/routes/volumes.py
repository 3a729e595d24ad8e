"""Volumes."""

from __future__ import annotations

from shared.contracts import volume
from shared.errors import Unavailable

from ..context import NO_CONTENT, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..sources import Unchanged
from ..translate import filters
from ..translate import volume as shown
from ..translate.create import member
from ..translate.listing import volumes_in_use
from .swarm import NOT_MANAGER


def users(gateway: Gateway) -> dict[str, tuple[str, ...]]:
    return volumes_in_use(one.spec for one in gateway.containers.own())


async def list_(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("dangling", "driver", "label", "name"))
    asked = volume.ListRequest(filters=wanted, in_use=tuple(users(gateway)))
    fresh = None if wanted else Unchanged(gateway.sources.volumes)  # filters ask who uses a volume
    found = await gateway.call(volume.LIST, asked)
    shown_ = [shown.show(one) for one in found.volumes]
    return reply({"Volumes": shown_, "Warnings": found.warnings or None}, fresh=fresh)


async def inspect(gateway: Gateway, request: Request) -> Response:
    asked = volume.NameRequest(name=request.params["name"])
    fresh = Unchanged(gateway.sources.volumes)
    return reply(shown.show(await gateway.call(volume.INSPECT, asked)), fresh=fresh)


async def create(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    if request.version >= (1, 42) and member(data or {}, "ClusterVolumeSpec") is not None:
        raise Unavailable(NOT_MANAGER)
    wanted = shown.create_request(data)
    return reply(shown.show(await gateway.call(volume.CREATE, wanted)), 201)


async def remove(gateway: Gateway, request: Request) -> Response:
    name = request.params["name"]
    asked = volume.RemoveRequest(name=name, force=request.query.flag("force"), users=users(gateway).get(name, ()))
    await gateway.call(volume.REMOVE, asked)
    return NO_CONTENT


async def prune(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("all", "label", "label!"))
    if request.version < (1, 42):
        wanted["all"] = ("true",)  # before 1.42 prune took named volumes as well
    filters.boolean(wanted, "all", False)
    asked = volume.PruneRequest(filters=wanted, in_use=tuple(users(gateway)))
    done = await gateway.call(volume.PRUNE, asked)
    return reply({"VolumesDeleted": done.removed, "SpaceReclaimed": done.bytes_freed})


async def update(gateway: Gateway, request: Request) -> Response:
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


ROUTES = (
    Route("GET", "/volumes", list_, "VolumeList"),
    Route("POST", "/volumes/create", create, "VolumeCreate"),
    Route("POST", "/volumes/prune", prune, "VolumePrune"),
    Route("GET", "/volumes/{name}", inspect, "VolumeInspect"),
    Route("DELETE", "/volumes/{name}", remove, "VolumeDelete"),
    Route("PUT", "/volumes/{name}", update, "VolumeUpdate"),
)
