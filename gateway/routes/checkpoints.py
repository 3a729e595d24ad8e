"""Checkpoints of containers (experimental in dockerd, always there here)."""

from __future__ import annotations

from typing import Any

from shared.contracts import executor
from shared.errors import InvalidArgument

from ..context import CREATED, NO_CONTENT, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..translate.create import member


async def create(gateway: Gateway, request: Request) -> Response:
    data = await gateway.json(request) or {}
    container = await gateway.container(request)
    wanted = executor.CheckpointRequest(
        id=container.id,
        checkpoint=_field(data, "CheckpointID", str, ""),
        directory=_field(data, "CheckpointDir", str, ""),
        exit=_field(data, "Exit", bool, False),
        reference=request.params["id"],
    )
    done = await gateway.call(executor.CHECKPOINT_CREATE, wanted, container.node)
    await gateway.containers.reached(done.revision, container.node)
    return CREATED


def _field(data: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = member(data, name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise InvalidArgument(f"invalid JSON: {name}: expected {kind.__name__}")
    return value


async def list_(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    wanted = executor.CheckpointListRequest(
        id=container.id, directory=request.query.get("dir"), reference=request.params["id"]
    )
    found = await gateway.call(executor.CHECKPOINT_LIST, wanted, container.node)
    return reply([{"Name": name} for name in found.names])


async def delete(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    wanted = executor.CheckpointRef(
        id=container.id,
        checkpoint=request.params["checkpoint"],
        directory=request.query.get("dir"),
        reference=request.params["id"],
    )
    await gateway.call(executor.CHECKPOINT_DELETE, wanted, container.node)
    return NO_CONTENT


ROUTES = (
    Route("GET", "/containers/{id}/checkpoints", list_, "CheckpointList"),
    Route("POST", "/containers/{id}/checkpoints", create, "CheckpointCreate"),
    Route("DELETE", "/containers/{id}/checkpoints/{checkpoint}", delete, "CheckpointDelete"),
)
