"""Containers: their life cycle, list and inspect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from shared import telemetry
from shared.clock import now_ns
from shared.contracts import executor, network
from shared.contracts.base import Empty
from shared.contracts.common import Ref
from shared.contracts.executor import UsageEntry
from shared.errors import Conflict, InvalidArgument, NotFound, ShoalError, Unavailable

from .. import everywhere
from ..context import NO_CONTENT, Gateway, reply
from ..http.message import JSON, Request, Response
from ..http.router import Route
from ..listing import inspect_bytes, list_bytes
from ..sources import Unchanged
from ..translate import container as shown
from ..translate import filters, listing, nodes, times
from ..translate.create import create_request
from ..translate.image import stands_for
from ..translate.status import tells_time
from ..views import Container
from . import images

IMAGES_PATIENCE = 0.5
"""Seconds for which a list waits to hear what images are called; without that it is made all the same."""


async def usage_by_id(gateway: Gateway, nodes: Iterable[str] | None = None) -> dict[str, UsageEntry]:
    """Sizes by container, of those hosts, or of all that are there; what cannot be asked now is left out."""
    asked = gateway.hosts.reachable() if nodes is None else set(nodes) - gateway.hosts.down()
    answers = await everywhere.ask_each(gateway, executor.USAGE, dict.fromkeys(asked, Empty()))
    if isinstance(refusal := answers.get(gateway.kernel.node), ShoalError):
        raise refusal
    replies = (answer for answer in answers.values() if not isinstance(answer, ShoalError))
    return {entry.id: entry for answer in replies for entry in answer.entries}


async def create(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    wanted, warnings = create_request(data, request.query.get("name"), request.query.get("platform"), request.version)
    made, node = await gateway.create(wanted)
    telemetry.annotate(container=made.id)
    await gateway.containers.reached(made.revision, node)
    return reply({"Id": made.id, "Warnings": [*made.warnings, *warnings]}, 201)


async def inspect(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    host = gateway.hosts.record(container.node)
    if not request.query.flag("size"):
        fresh = Unchanged(gateway.sources.containers)
        return Response(200, inspect_bytes(container, request.version, host), JSON, fresh=fresh)
    sizes = await usage_by_id(gateway, (container.node,))
    entry = sizes.get(container.id)
    size = {"SizeRw": entry.rw_bytes, "SizeRootFs": entry.rootfs_bytes} if entry else {}
    data = shown.inspect(container.spec, container.status, request.version, container.links)
    return reply(data | nodes.of_host(host) | size)


async def list_(gateway: Gateway, request: Request) -> Response:
    query = request.query
    wanted = filters.parse(query.get("filters"))
    hosts = wanted.pop("node", None) if gateway.kernel.clustered else None
    listing.check(wanted)
    limit = query.integer("limit", 0) or 0
    criteria = listing.Criteria(
        filters=wanted,
        all=query.flag("all"),
        limit=limit,
        before=_created(gateway, wanted, "before"),
        since=_created(gateway, wanted, "since"),
        images=await _ancestors(gateway, wanted),
        networks=await _networks(gateway, wanted),
    )
    unchanged = Unchanged(gateway.sources.containers, gateway.sources.images)
    found = [one for one in gateway.containers.all() if listing.includes(one.spec, one.status, criteria)]
    if hosts is not None:
        chosen = {one.id for one in gateway.hosts.all() if one.name in hosts or one.id in hosts}
        found = [one for one in found if one.node in chosen]
    if limit > 0:
        found = found[:limit]
    sizes = await usage_by_id(gateway, {one.node for one in found}) if query.flag("size") else None
    by_id = await _by_id(gateway, found)
    body = list_bytes(found, request.version, now_ns(), sizes, gateway.hosts.down(), by_id or frozenset())
    if wanted or hosts is not None or sizes is not None or by_id is None or not _lasting(gateway, found):
        return Response(200, body, JSON)
    return Response(200, body, JSON, fresh=unchanged)


def _lasting(gateway: Gateway, shown: Iterable[Container]) -> bool:
    """Whether a list holds until something happens; those of other hosts change also by not being heard of."""
    return not any(tells_time(one.status) or one.node != gateway.kernel.node for one in shown)


async def _by_id(gateway: Gateway, shown: Iterable[Container]) -> frozenset[str] | None:
    """Containers whose reference means another image by now, or none; None when the image store does not tell."""
    own = [one for one in shown if one.node == gateway.kernel.node]
    if not own:
        return frozenset()
    try:
        async with asyncio.timeout(IMAGES_PATIENCE):
            known = await gateway.sources.images.known()
    except (TimeoutError, ShoalError):
        return None
    named = ((one.id, one.spec.config.image, one.spec.image_id) for one in own)
    return frozenset(id for id, name, image_id in named if not stands_for(name, image_id, known.get(image_id)))


def _created(gateway: Gateway, wanted: filters.Filters, name: str) -> int | None:
    """When the container that `before` or `since` names was made."""
    references = wanted.get(name)
    if not references:
        return None
    found = gateway.containers.known(references[-1])
    if found is None:
        raise NotFound(f"No such container: {references[-1]}")
    return found.spec.created


async def _ancestors(gateway: Gateway, wanted: filters.Filters) -> frozenset[str] | None:
    """Ids of the images that `ancestor` names; names of no image count for nothing."""
    if "ancestor" not in wanted:
        return None
    found: set[str] = set()
    for reference in wanted["ancestor"]:
        try:
            found.add((await images.find(gateway, reference))[1].id)
        except (NotFound, InvalidArgument, Conflict, Unavailable):
            continue
    return frozenset(found)


async def _networks(gateway: Gateway, wanted: filters.Filters) -> frozenset[str]:
    """Names of the networks whose ids begin as a `network` filter does."""
    begins = tuple(filter(None, wanted.get("network", ())))
    if not begins:
        return frozenset()
    found = await gateway.call(network.LIST, network.ListRequest())
    return frozenset(each.spec.name for each in found.networks if each.spec.id.startswith(begins))


async def start(gateway: Gateway, request: Request) -> Response:
    if request.content_length is None or request.content_length > 7:
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    container = await gateway.container(request)
    wanted = executor.StartRequest(
        id=container.id,
        detach_keys=request.query.get("detachKeys"),
        checkpoint=request.query.get("checkpoint"),
        checkpoint_dir=request.query.get("checkpoint-dir"),
    )
    done = await gateway.call(executor.START, wanted, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


def _stop_request(container: Container, request: Request) -> executor.StopRequest:
    return executor.StopRequest(
        id=container.id,
        timeout=request.query.integer("t"),
        signal=request.query.get("signal") if request.version >= (1, 42) else "",
        reference=request.params["id"],
    )


async def stop(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    done = await gateway.call(executor.STOP, _stop_request(container, request), container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


async def restart(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    done = await gateway.call(executor.RESTART, _stop_request(container, request), container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


async def kill(gateway: Gateway, request: Request) -> Response:
    name = request.params["id"]
    try:
        container = await gateway.container(request)
    except NotFound as error:
        raise NotFound(f"cannot kill container: {name}: {error.message}") from None
    wanted = executor.KillRequest(id=container.id, signal=request.query.get("signal") or "SIGKILL", reference=name)
    await gateway.call(executor.KILL, wanted, container.node)
    return NO_CONTENT


async def pause(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    done = await gateway.call(executor.PAUSE, Ref(id=container.id), container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


async def unpause(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    done = await gateway.call(executor.UNPAUSE, Ref(id=container.id), container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


async def rename(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    name = request.query.get("name")
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    wanted = executor.RenameRequest(id=container.id, name=name)
    done = await gateway.call(executor.RENAME, wanted, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


async def _to_remove(gateway: Gateway, request: Request) -> Container:
    """The container itself; with `link` the one that has the link, which `parent/alias` names."""
    name = request.params["id"].removeprefix("/")
    if request.query.flag("link") and "/" in name:
        try:
            return await gateway.containers.find(name.rpartition("/")[0])
        except NotFound:
            raise NotFound(f"No such container: {name}") from None
    return await gateway.container(request)


async def remove(gateway: Gateway, request: Request) -> Response:
    container = await _to_remove(gateway, request)
    query = request.query
    wanted = executor.RemoveRequest(
        id=container.id,
        force=query.flag("force"),
        volumes=query.flag("v"),
        link=query.flag("link"),
        reference=request.params["id"],
    )
    done = await gateway.call(executor.REMOVE, wanted, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return NO_CONTENT


async def resize(gateway: Gateway, request: Request) -> Response:
    height, width = request.query.size("h", "resize height"), request.query.size("w", "resize width")
    container = await gateway.container(request)
    wanted = executor.ResizeRequest(id=container.id, height=height, width=width)
    await gateway.call(executor.RESIZE, wanted, container.node)
    return Response(200)


async def top(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    wanted = executor.TopRequest(id=container.id, ps_args=request.query.get("ps_args") or "-ef")
    found = await gateway.call(executor.TOP, wanted, container.node)
    return reply({"Titles": found.titles, "Processes": found.processes})


async def prune(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), listing.PRUNE_ACCEPTED)
    until = until_filter(wanted)
    by_node: dict[str, list[str]] = {gateway.kernel.node: []}
    for one in gateway.containers.all():
        if listing.prunable(one.spec, one.status, wanted, until) and one.node not in gateway.hosts.down():
            by_node.setdefault(one.node, []).append(one.id)
    asked = {node: executor.PruneRequest(ids=tuple(ids)) for node, ids in by_node.items()}
    done = (await everywhere.prune_all(gateway, executor.PRUNE, asked)).values()
    removed = [id for one in done for id in one.removed]
    return reply({"ContainersDeleted": removed or None, "SpaceReclaimed": sum(one.bytes_freed for one in done)})


def until_filter(wanted: filters.Filters) -> int | None:
    """The one point in time of an `until` filter, in nanoseconds."""
    values = wanted.get("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    return times.moment(values[0], "until", now_ns())


ROUTES = (
    Route("GET", "/containers/json", list_, "ContainerList"),
    Route("POST", "/containers/create", create, "ContainerCreate"),
    Route("POST", "/containers/prune", prune, "ContainerPrune"),
    Route("GET", "/containers/{id}/json", inspect, "ContainerInspect"),
    Route("GET", "/containers/{id}/top", top, "ContainerTop"),
    Route("POST", "/containers/{id}/start", start, "ContainerStart"),
    Route("POST", "/containers/{id}/stop", stop, "ContainerStop"),
    Route("POST", "/containers/{id}/restart", restart, "ContainerRestart"),
    Route("POST", "/containers/{id}/kill", kill, "ContainerKill"),
    Route("POST", "/containers/{id}/pause", pause, "ContainerPause"),
    Route("POST", "/containers/{id}/unpause", unpause, "ContainerUnpause"),
    Route("POST", "/containers/{id}/rename", rename, "ContainerRename"),
    Route("POST", "/containers/{id}/resize", resize, "ContainerResize"),
    Route("DELETE", "/containers/{id}", remove, "ContainerDelete"),
)
