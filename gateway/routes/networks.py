"""Networks."""

from __future__ import annotations

from typing import Any

from shared.contracts import executor, network

from .. import everywhere
from ..context import NO_CONTENT, OK, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..sources import Unchanged
from ..translate import filters
from ..translate import network as shown
from ..translate.create import member
from ..translate.network_status import status
from ..translate.nodes import of_host
from ..views import Container

_OF_EVERY_HOST = ("bridge", "host", "none", "docker_gwbridge")


async def list_(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"))
    fresh = None if gateway.kernel.clustered else Unchanged(gateway.sources.networks)
    told = await everywhere.ask_all(gateway, network.LIST, lambda node: network.ListRequest(filters=wanted))
    found = {node: [one for one in answer.networks if _is_shown(gateway, node, one)] for node, answer in told.items()}
    names = everywhere.called(gateway, {node: [one.spec.name for one in nets] for node, nets in found.items()})
    whole = request.version < (1, 28)
    listed = [
        shown.show(one, request.version, containers=whole) | {"Name": names[node, one.spec.name]} | _host(gateway, one)
        for node, nets in found.items()
        for one in nets
    ]
    return reply(listed, fresh=fresh)


def _is_shown(gateway: Gateway, node: str, found: network.Network) -> bool:
    """Of other hosts, what this one has not likewise."""
    return node == gateway.kernel.node or (found.spec.scope == "local" and found.spec.name not in _OF_EVERY_HOST)


def _host(gateway: Gateway, found: network.Network) -> dict[str, Any]:
    return of_host(gateway.hosts.record(found.spec.node))


async def _find(gateway: Gateway, name: str, scope: str = "") -> tuple[str, network.Network]:
    return await everywhere.find_named(
        gateway,
        network.INSPECT,
        lambda name: network.InspectRequest(reference=name, scope=scope),
        name,
        lambda found: found.spec.id,
    )


async def inspect(gateway: Gateway, request: Request) -> Response:
    request.query.strict_flag("verbose")  # what it adds are tasks of Swarm services
    fresh = Unchanged(gateway.sources.networks)
    node, found = await _find(gateway, request.params["id"], request.query.get("scope"))
    more = {"Status": status(found)} if request.version >= (1, 52) else {}
    told = shown.show(found, request.version) | more | _host(gateway, found)
    return reply(told, fresh=fresh if node == gateway.kernel.node else None)


async def create(gateway: Gateway, request: Request) -> Response:
    wanted = shown.create_request(await gateway.json(request), request.version)
    made = await gateway.call(network.CREATE, wanted)
    return reply({"Id": made.id, "Warning": made.warning}, 201)


async def remove(gateway: Gateway, request: Request) -> Response:
    node, reference = gateway.kernel.node, request.params["id"]
    if gateway.kernel.clustered:
        node, found = await _find(gateway, reference)
        reference = found.spec.id
    await everywhere.ask(gateway, network.REMOVE, network.InspectRequest(reference=reference), node)
    return NO_CONTENT


async def prune(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("label", "label!", "until"))
    nodes = await everywhere.settled(gateway)
    anywhere = _named(gateway.containers.all())
    used = {node: _named(gateway.containers.of(node)) for node in nodes}
    asked = {
        node: network.PruneRequest(
            filters=wanted, in_use=tuple(sorted(here)), in_use_elsewhere=tuple(sorted(anywhere - here))
        )
        for node, here in used.items()
    }
    done = await everywhere.prune_all(gateway, network.PRUNE, asked)
    return reply({"NetworksDeleted": [name for report in done.values() for name in report.removed] or None})


def _named(containers: list[Container]) -> set[str]:
    """The networks, by name or id, that containers are to be on."""
    return {name for one in containers for name in (*one.spec.networks, one.spec.host_config.network_mode)}


def _meant(gateway: Gateway, container: Container, reference: str) -> str:
    """What the container's host is to look for: of a name in a list (`host/name`) its own."""
    host, name = gateway.hosts.split(reference)
    return name if host == container.node else reference


async def connect(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    name, settings = shown.container_of(data), shown.endpoint_settings(data)
    container = await gateway.containers.find(name)
    reference = _meant(gateway, container, request.params["id"])
    asked = executor.ConnectRequest(id=container.id, network=reference, settings=settings)
    done = await gateway.call(executor.CONNECT, asked, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return OK


async def disconnect(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    container = await gateway.containers.find(shown.container_of(data))
    force = bool(member(data or {}, "Force"))
    reference = _meant(gateway, container, request.params["id"])
    asked = executor.DisconnectRequest(id=container.id, network=reference, force=force)
    done = await gateway.call(executor.DISCONNECT, asked, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return OK


ROUTES = (
    Route("GET", "/networks", list_, "NetworkList"),
    Route("GET", "/networks/", list_, "NetworkList"),
    Route("POST", "/networks/create", create, "NetworkCreate"),
    Route("POST", "/networks/prune", prune, "NetworkPrune"),
    Route("GET", "/networks/{id}", inspect, "NetworkInspect"),
    Route("DELETE", "/networks/{id}", remove, "NetworkDelete"),
    Route("POST", "/networks/{id}/connect", connect, "NetworkConnect"),
    Route("POST", "/networks/{id}/disconnect", disconnect, "NetworkDisconnect"),
)
