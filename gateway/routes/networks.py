"""Networks."""

from __future__ import annotations

from shared.contracts import executor, network

from ..context import NO_CONTENT, OK, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..sources import Unchanged
from ..translate import filters
from ..translate import network as shown
from ..translate.create import member
from ..translate.network_status import status
from ..views import Container


async def list_(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"))
    fresh = Unchanged(gateway.sources.networks)
    found = await gateway.call(network.LIST, network.ListRequest(filters=wanted))
    whole = request.version < (1, 28)
    return reply([shown.show(one, request.version, containers=whole) for one in found.networks], fresh=fresh)


async def inspect(gateway: Gateway, request: Request) -> Response:
    request.query.strict_flag("verbose")  # what it adds are tasks of Swarm services
    asked = network.InspectRequest(reference=request.params["id"], scope=request.query.get("scope"))
    fresh = Unchanged(gateway.sources.networks)
    found = await gateway.call(network.INSPECT, asked)
    more = {"Status": status(found)} if request.version >= (1, 52) else {}
    return reply(shown.show(found, request.version) | more, fresh=fresh)


async def create(gateway: Gateway, request: Request) -> Response:
    wanted = shown.create_request(await gateway.json(request), request.version)
    made = await gateway.call(network.CREATE, wanted)
    return reply({"Id": made.id, "Warning": made.warning}, 201)


async def remove(gateway: Gateway, request: Request) -> Response:
    await gateway.call(network.REMOVE, network.InspectRequest(reference=request.params["id"]))
    return NO_CONTENT


async def prune(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("label", "label!", "until"))
    here, anywhere = _named(gateway.containers.own()), _named(gateway.containers.all())
    asked = network.PruneRequest(
        filters=wanted, in_use=tuple(sorted(here)), in_use_elsewhere=tuple(sorted(anywhere - here))
    )
    done = await gateway.call(network.PRUNE, asked)
    return reply({"NetworksDeleted": done.removed or None})


def _named(containers: list[Container]) -> set[str]:
    """The networks, by name or id, that containers are to be on."""
    return {name for one in containers for name in (*one.spec.networks, one.spec.host_config.network_mode)}


async def connect(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    name, settings = shown.container_of(data), shown.endpoint_settings(data)
    container = await gateway.containers.find(name)
    asked = executor.ConnectRequest(id=container.id, network=request.params["id"], settings=settings)
    done = await gateway.call(executor.CONNECT, asked, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return OK


async def disconnect(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request)
    container = await gateway.containers.find(shown.container_of(data))
    force = bool(member(data or {}, "Force"))
    asked = executor.DisconnectRequest(id=container.id, network=request.params["id"], force=force)
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
