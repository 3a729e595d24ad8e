"""What is in a container's file system: changes, export, copies."""

from __future__ import annotations

import msgspec

from shared.contracts import executor
from shared.contracts.common import Ref, StreamOffer
from shared.contracts.image_store import Change

from ..context import Gateway, reply
from ..http.errors import refusal
from ..http.message import Request, Response
from ..http.router import Route


async def changes(gateway: Gateway, request: Request) -> Response:
    container = await gateway.container(request)
    offer = await gateway.call(executor.CHANGES, Ref(id=container.id), container.node)
    lines = await _whole(gateway, offer)
    if lines is None:
        return refusal(503, "the image store ended the transfer; try again")
    found = [msgspec.json.decode(line, type=Change) for line in lines.splitlines()]
    return reply([{"Path": change.path, "Kind": change.kind} for change in found] or None)


async def _whole(gateway: Gateway, offer: StreamOffer) -> bytes | None:
    """All that an offered stream has; None when it is broken off."""
    channel = await gateway.kernel.streams.take(offer)
    try:
        parts = []
        while data := await channel.read():
            parts.append(data)
        return b"".join(parts)
    except ConnectionError:
        return None
    finally:
        channel.close()


ROUTES = (Route("GET", "/containers/{id}/changes", changes, "ContainerChanges"),)
