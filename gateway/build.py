"""Puts the gateway together from a kernel."""

from __future__ import annotations

from shared.contracts import executor, image_store, network, volume
from shared.service import Kernel
from shared.state.history import History

from .context import Gateway
from .events import Feed
from .views import Containers

_TOLD = (executor.CONTAINER_EVENT, image_store.IMAGE_EVENT, network.NETWORK_EVENT, volume.VOLUME_EVENT)


async def assemble(kernel: Kernel, history: History) -> Gateway:
    """The gateway with its read model complete and its ears open."""
    feed = Feed()
    for event in _TOLD:
        await kernel.bus.listen(event, feed.receive)
    return Gateway(kernel, await Containers.open(kernel.state), feed, history)
