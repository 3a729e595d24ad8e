"""What every handler gets: the way to the services and the read model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from shared import telemetry
from shared.contracts import scheduler
from shared.contracts.base import Endpoint, Message
from shared.contracts.common import Revision
from shared.contracts.executor import CREATE, CreateReply, CreateRequest
from shared.errors import NotFound
from shared.service import Kernel
from shared.state.history import History

from .execs import Execs
from .hosts import Hosts
from .http import body
from .http.message import JSON, Fresh, Request, Response
from .mirrors import Sources
from .views import Container, Containers

if TYPE_CHECKING:
    from .events import Feed
    from .stats import Sampler

MOVED_TO = "moved_to"
"""Detail of a `NotFound`: the node that has the container now."""
Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


@dataclass
class Gateway:
    """The gateway's own things; handlers are functions of it and of a request."""

    kernel: Kernel
    sources: Sources
    containers: Containers
    hosts: Hosts
    feed: Feed
    history: History
    sampler: Sampler
    execs: Execs = field(default_factory=Execs)
    images: tuple[Fresh, int] | None = None
    """While what the number of images holds, and how many there are."""

    async def call(self, endpoint: Endpoint[Req, Rep], request: Req, node: str = "") -> Rep:
        """A call to the service on a node, this one when none is named; where a container has moved it follows.

        What is known here nobody is asked.
        """
        if not node or node == self.kernel.node:
            known = await self.sources.answer(endpoint, request)
            if known is not None:
                return known
        try:
            return await self.kernel.bus.call(endpoint, request, node=node)
        except NotFound as error:
            if MOVED_TO not in error.details:
                raise
            node = error.details[MOVED_TO]
        reply = await self.call(endpoint, request, node)
        if isinstance(reply, Revision):  # of another host's records than who asked thinks
            await self.containers.reached(reply.revision, node)
            return msgspec.structs.replace(reply, revision=0)
        return reply

    async def create(self, request: CreateRequest) -> tuple[CreateReply, str]:
        """Makes a container on this host, in a cluster on one that the scheduler chooses; and which it was."""
        if not self.kernel.clustered:
            return await self.call(CREATE, request), self.kernel.node
        placed = await self.call(scheduler.CREATE, request)
        return placed, placed.node

    async def container(self, request: Request) -> Container:
        """The container that the path names; the trace is findable by it."""
        found = await self.containers.find(request.params["id"])
        telemetry.annotate(container=found.id)
        return found

    async def json(self, request: Request) -> dict[str, Any] | None:
        """The request's JSON object."""
        return await body.read_json(request, self.kernel.settings.max_body_bytes)


def reply(value: Any, status: int = 200, fresh: Fresh | None = None) -> Response:
    """A JSON answer, ended by a newline as Docker's are."""
    return Response(status, msgspec.json.encode(value) + b"\n", JSON, fresh=fresh)


NO_CONTENT = Response(204)
CREATED = Response(201)
OK = Response(200)
