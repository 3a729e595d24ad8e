"""Swarm and what belongs to it: this engine answers as a Docker engine outside a swarm."""

from __future__ import annotations

from shared.errors import NotImplementedYet, Unavailable

from ..context import Gateway
from ..http.message import Request, Response
from ..http.router import Operation, Route

NOT_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)


async def not_manager(gateway: Gateway, request: Request) -> Response:
    raise Unavailable(NOT_MANAGER)


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
    Route("GET", "/nodes", _OUTSIDE, "NodeList"),
    Route("GET", "/nodes/{id}", _OUTSIDE, "NodeInspect"),
    Route("DELETE", "/nodes/{id}", _OUTSIDE, "NodeDelete"),
    Route("POST", "/nodes/{id}/update", _OUTSIDE, "NodeUpdate"),
    Route("GET", "/services", _OUTSIDE, "ServiceList"),
    Route("POST", "/services/create", _OUTSIDE, "ServiceCreate"),
    Route("GET", "/services/{id}", _OUTSIDE, "ServiceInspect"),
    Route("DELETE", "/services/{id}", _OUTSIDE, "ServiceDelete"),
    Route("POST", "/services/{id}/update", _OUTSIDE, "ServiceUpdate"),
    Route("GET", "/services/{id}/logs", _OUTSIDE, "ServiceLogs"),
    Route("GET", "/tasks", _OUTSIDE, "TaskList"),
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
