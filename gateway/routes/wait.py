"""Wait: served from the read model."""

from __future__ import annotations

from contextlib import aclosing

import msgspec

from shared.contracts.container import ContainerStatus
from shared.errors import InvalidArgument

from ..context import Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..translate.status import exits, is_running
from ..views import Container, Containers

CONDITIONS = ("not-running", "next-exit", "removed")


async def wait(gateway: Gateway, request: Request) -> Response | None:
    if request.version < (1, 30):  # no conditions yet, and the answer in one piece
        container = await gateway.container(request)
        status = await until(gateway.containers, container, "not-running")
        return reply({"StatusCode": status.exit_code})
    condition = request.query.get("condition") or "not-running"
    if condition not in CONDITIONS:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    container = await gateway.container(request)
    stream = request.stream()  # the client starts the container when it sees the head of this answer
    status = await until(gateway.containers, container, condition)
    await stream.write(msgspec.json.encode({"StatusCode": status.exit_code}) + b"\n")
    return None


async def until(containers: Containers, container: Container, condition: str) -> ContainerStatus:
    """The container's status when the condition holds; the last one seen when it is removed meanwhile."""
    first = last = container.status
    async with aclosing(containers.follow(container)) as changes:
        async for present in changes:
            if present is None:
                break
            last = present.status
            if met(condition, first, last):
                break
    return last


def met(condition: str, first: ContainerStatus, now: ContainerStatus) -> bool:
    """Whether a container that still exists meets the condition. `first`: its status when the wait began.

    An exit counts even where a restart policy has started it again (as in dockerd).
    """
    ended = exits(now) > exits(first)
    return (condition == "not-running" and not is_running(now)) or (condition != "removed" and ended)


ROUTES = (Route("POST", "/containers/{id}/wait", wait, "ContainerWait"),)
