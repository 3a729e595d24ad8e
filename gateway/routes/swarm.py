"""Swarm and what belongs to it: answers as of a Docker engine outside a swarm, but for a cluster's hosts."""

from __future__ import annotations

from typing import Any

from shared.contracts.scheduler import REMOVE, UPDATE, NodeRecord, RemoveNodeRequest
from shared.errors import NotFound, NotImplementedYet, Unavailable

from ..context import OK, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Operation, Route
from ..translate import filters
from ..translate import nodes as shown

NOT_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)

NO_TASKS = "the hosts of a cluster have containers, no tasks: docker ps -a --filter node=NAME lists those of one host"


async def not_manager(gateway: Gateway, request: Request) -> Response:
    raise Unavailable(NOT_MANAGER)


async def nodes(gateway: Gateway, request: Request) -> Response:
    """`docker node ls`: the hosts of the cluster."""
    known = _hosts(gateway)
    wanted = filters.parse(request.query.get("filters"), ("id", "name", "role"))
    roles = {"manager": "hub", "worker": "leaf"}
    return reply(
        [
            _show(gateway, one)
            for one in known
            if filters.match(wanted, "id", one.id)
            and filters.match(wanted, "name", one.name)
            and ("role" not in wanted or one.role in [roles.get(role) for role in wanted["role"]])
        ]
    )


async def node(gateway: Gateway, request: Request) -> Response:
    return reply(_show(gateway, _named(gateway, request.params["id"])))


def _named(gateway: Gateway, asked: str) -> NodeRecord:
    """By id, name, or the begin of an id; `self` is this host."""
    known, reference = _hosts(gateway), gateway.kernel.node if asked == "self" else asked
    found = [one for one in known if reference in (one.id, one.name)]
    found = found or [one for one in known if one.id.startswith(reference)]
    if len(found) != 1:
        raise NotFound(f"node {asked} not found" if not found else f"node {asked} is ambiguous")
    return found[0]


async def update_node(gateway: Gateway, request: Request) -> Response:
    host = _named(gateway, request.params["id"])
    await gateway.call(UPDATE, shown.update_request(host, await gateway.json(request)))
    return OK


async def tasks(gateway: Gateway, request: Request) -> Response:
    raise Unavailable(NO_TASKS if gateway.kernel.clustered else NOT_MANAGER)


async def remove_node(gateway: Gateway, request: Request) -> Response:
    """`docker node rm`: nobody lets the host in any more."""
    asked = RemoveNodeRequest(node=_named(gateway, request.params["id"]).id, force=request.query.flag("force"))
    await gateway.call(REMOVE, asked)
    return OK


def _hosts(gateway: Gateway) -> list[NodeRecord]:
    if not gateway.kernel.clustered:
        raise Unavailable(NOT_MANAGER)
    return gateway.hosts.all()


def _show(gateway: Gateway, host: NodeRecord) -> dict[str, Any]:
    hubs = sum(one.role == "hub" for one in gateway.hosts.all())
    return shown.show(host, host.id in gateway.hosts.reachable(), hubs)


async def leave(gateway: Gateway, request: Request) -> Response:
    raise Unavailable("This node is not part of a swarm")


async def no_swarm(gateway: Gateway, request: Request) -> Response:
    raise NotImplementedYet("swarm mode is not implemented by this engine yet")


_OUTSIDE: Operation = not_manager
ROUTES = (
    Route("GET", "/swarm", _OUTSIDE, "SwarmInspect"),
    Route("POST", "/swarm/init", no_swarm, "SwarmInit"),
    Route("POST", "/swarm/join", no_swarm, "SwarmJoin"),
    Route("POST", "/swarm/leave", leave, "SwarmLeave"),
    Route("POST", "/swarm/update", _OUTSIDE, "SwarmUpdate"),
    Route("GET", "/swarm/unlockkey", _OUTSIDE, "SwarmUnlockkey"),
    Route("POST", "/swarm/unlock", _OUTSIDE, "SwarmUnlock"),
    Route("GET", "/nodes", nodes, "NodeList"),
    Route("GET", "/nodes/{id}", node, "NodeInspect"),
    Route("DELETE", "/nodes/{id}", remove_node, "NodeDelete"),
    Route("POST", "/nodes/{id}/update", update_node, "NodeUpdate"),
    Route("GET", "/services", _OUTSIDE, "ServiceList"),
    Route("POST", "/services/create", _OUTSIDE, "ServiceCreate"),
    Route("GET", "/services/{id}", _OUTSIDE, "ServiceInspect"),
    Route("DELETE", "/services/{id}", _OUTSIDE, "ServiceDelete"),
    Route("POST", "/services/{id}/update", _OUTSIDE, "ServiceUpdate"),
    Route("GET", "/services/{id}/logs", _OUTSIDE, "ServiceLogs"),
    Route("GET", "/tasks", tasks, "TaskList"),
    Route("GET", "/tasks/{id}", _OUTSIDE, "TaskInspect"),
    Route("GET", "/tasks/{id}/logs", _OUTSIDE, "TaskLogs"),
    Route("GET", "/secrets", _OUTSIDE, "SecretList"),
    Route("POST", "/secrets/create", _OUTSIDE, "SecretCreate"),
    Route("GET", "/secrets/{id}", _OUTSIDE, "SecretInspect"),
    Route("DELETE", "/secrets/{id}", _OUTSIDE, "SecretDelete"),
    Route("POST", "/secrets/{id}/update", _OUTSIDE, "SecretUpdate"),
    Route("GET", "/configs", _OUTSIDE, "ConfigList"),
    Route("POST", "/configs/create", _OUTSIDE, "ConfigCreate"),
    Route("GET", "/configs/{id}", _OUTSIDE, "ConfigInspect"),
    Route("DELETE", "/configs/{id}", _OUTSIDE, "ConfigDelete"),
    Route("POST", "/configs/{id}/update", _OUTSIDE, "ConfigUpdate"),
)
