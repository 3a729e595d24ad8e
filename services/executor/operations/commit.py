"""Making an image of a container."""

from __future__ import annotations

from contextlib import nullcontext

from shared.contracts import image_store
from shared.contracts.executor import CommitReply, CommitRequest

from ..container import Container
from ..domain import lifecycle
from . import freeze
from .engine import Engine


async def commit(engine: Engine, request: CommitRequest) -> CommitReply:
    """The image's id. Unless asked otherwise, a container that runs stands still meanwhile."""
    container = engine.registry.get(request.id)
    lifecycle.check_commit("removing" if container.removing else container.status.state, container.id)
    async with freeze.held(engine, container) if request.pause else nullcontext():
        done = await engine.bus.call(image_store.COMMIT, _asked(container, request))
        engine.tell(container, "commit", comment=request.comment, imageID=done.image.id, imageRef=done.name)
    return CommitReply(image_id=done.image.id)


def _asked(container: Container, request: CommitRequest) -> image_store.CommitRequest:
    own = container.spec.config
    return image_store.CommitRequest(
        key=container.id,
        config=request.config if request.config is not None else own,
        changes=request.changes,
        defaults=own,
        container=container.id,
        container_config=own,
        author=request.author,
        comment=request.comment,
        repository=request.repository,
        tag=request.tag,
    )
