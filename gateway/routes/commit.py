"""`docker commit`."""

from __future__ import annotations

from shared.contracts import executor

from ..context import Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..translate.container_shapes import CONFIG


async def commit(gateway: Gateway, request: Request) -> Response:
    query = request.query
    data = await gateway.json(request)
    container = await gateway.containers.find(query.get("container"))
    wanted = executor.CommitRequest(
        id=container.id,
        config=None if data is None else CONFIG.load(data),
        changes=query.all("changes"),
        author=query.get("author"),
        comment=query.get("comment"),
        repository=query.get("repo"),
        tag=query.get("tag"),
        pause=query.flag("pause", default=True),
    )
    done = await gateway.call(executor.COMMIT, wanted, container.node)
    return reply({"Id": done.image_id}, 201)


ROUTES = (Route("POST", "/commit", commit, "ImageCommit"),)
