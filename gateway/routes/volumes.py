"""Volumes."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts import executor, volume
from shared.errors import Conflict, NotFound, Unavailable

from .. import everywhere
from ..context import NO_CONTENT, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..sources import Unchanged
from ..translate import filters
from ..translate import volume as shown
from ..translate.create import member
from ..translate.listing import volumes_in_use
from ..translate.nodes import of_host
from .swarm import NOT_MANAGER

NODE_LABEL = "shoal.node"
"""Of a volume, too, it says the host."""


def users(gateway: Gateway, node: str) -> dict[str, tuple[str, ...]]:
    """A host's volumes, with the containers that have them."""
    return volumes_in_use(one.spec for one in gateway.containers.of(node))


async def _used(gateway: Gateway, node: str) -> dict[str, tuple[str, ...]]:
    """As `users`, with what is just being made for containers: they have no record yet, or come from another host."""
    placements = await gateway.kernel.state.view(executor.PLACEMENTS, host="" if node == gateway.kernel.node else node)
    placements.stop()
    used = users(gateway, node)
    for (id,), entry in placements.items(executor.PLACEMENTS):
        for name in entry.value.making if entry.value.node == node else ():
            used[name] = (*used.get(name, ()), id)
    return used


async def list_(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("dangling", "driver", "label", "name"))
    fresh = None if wanted or gateway.kernel.clustered else Unchanged(gateway.sources.volumes)  # filters ask for users
    found = await everywhere.ask_all(
        gateway, volume.LIST, lambda node: volume.ListRequest(filters=wanted, in_use=tuple(users(gateway, node)))
    )
    names = everywhere.called(gateway, {node: [one.name for one in told.volumes] for node, told in found.items()})
    listed = [
        _shown(gateway, node, msgspec.structs.replace(one, name=names[node, one.name]))
        for node, told in found.items()
        for one in told.volumes
    ]
    warnings = [warning for told in found.values() for warning in told.warnings]
    return reply({"Volumes": listed, "Warnings": warnings or None}, fresh=fresh)


def _shown(gateway: Gateway, node: str, spec: volume.VolumeSpec) -> dict[str, Any]:
    return shown.show(spec) | of_host(gateway.hosts.record(node))


async def _find(gateway: Gateway, name: str) -> tuple[str, volume.VolumeSpec]:
    """Volumes of one name on several hosts are several volumes."""
    return await everywhere.find_named(
        gateway, volume.INSPECT, lambda name: volume.NameRequest(name=name), name, lambda spec: str(spec.created)
    )


async def inspect(gateway: Gateway, request: Request) -> Response:
    fresh = Unchanged(gateway.sources.volumes)
    node, spec = await _find(gateway, request.params["name"])
    return reply(_shown(gateway, node, spec), fresh=fresh if node == gateway.kernel.node else None)


async def create(gateway: Gateway, request: Request) -> Response:
    """On this host, or where the label `shoal.node` says; the one that there is already, where another host has it."""
    data = await gateway.json(request)
    if request.version >= (1, 42) and member(data or {}, "ClusterVolumeSpec") is not None:
        raise Unavailable(NOT_MANAGER)
    wanted = shown.create_request(data)
    node = gateway.kernel.node
    if gateway.kernel.clustered and wanted.name:
        node = await _place(gateway, wanted)
    return reply(_shown(gateway, node, await everywhere.ask(gateway, volume.CREATE, wanted, node)), 201)


async def _place(gateway: Gateway, wanted: volume.CreateRequest) -> str:
    if host := wanted.labels.get(NODE_LABEL, ""):
        return gateway.hosts.called(host)
    try:
        return (await _find(gateway, wanted.name))[0]
    except (NotFound, Conflict):
        return gateway.kernel.node


async def remove(gateway: Gateway, request: Request) -> Response:
    name, node = request.params["name"], gateway.kernel.node
    if gateway.kernel.clustered:
        try:
            node, spec = await _find(gateway, name)
            name = spec.name
        except NotFound:
            pass  # the volume service says what that means
        await everywhere.catch_up(gateway, node)
    using = (await _used(gateway, node) if gateway.kernel.clustered else users(gateway, node)).get(name, ())
    asked = volume.RemoveRequest(name=name, force=request.query.flag("force"), users=using)
    await everywhere.ask(gateway, volume.REMOVE, asked, node)
    return NO_CONTENT


async def prune(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("all", "label", "label!"))
    if request.version < (1, 42):
        wanted["all"] = ("true",)  # before 1.42 prune took named volumes as well
    filters.boolean(wanted, "all", False)
    used = {node: await _used(gateway, node) for node in await everywhere.settled(gateway)}
    asked = {node: volume.PruneRequest(filters=wanted, in_use=tuple(names)) for node, names in used.items()}
    done = await everywhere.prune_all(gateway, volume.PRUNE, asked)
    removed = [name for report in done.values() for name in report.removed]
    return reply({"VolumesDeleted": removed, "SpaceReclaimed": sum(report.bytes_freed for report in done.values())})


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
