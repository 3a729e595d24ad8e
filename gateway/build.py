"""Puts the gateway together from a kernel."""

from __future__ import annotations

from shared.contracts import builder, executor, image_store, network, platform, volume
from shared.service import Kernel
from shared.state.history import History

from .context import Gateway
from .events import Feed
from .hosts import Hosts
from .mirrors import Sources
from .stats import Sampler
from .views import Containers

_TOLD = (
    builder.BUILDER_EVENT,
    executor.CONTAINER_EVENT,
    image_store.IMAGE_EVENT,
    network.NETWORK_EVENT,
    volume.VOLUME_EVENT,
)


async def assemble(kernel: Kernel, history: History) -> Gateway:
    """The gateway with its read model complete."""
    sources = await Sources.open(kernel.bus)
    containers = await Containers.open(kernel.state, kernel.node)
    containers.changed = sources.containers.changed
    hosts = Hosts(kernel.state, kernel.node, containers)
    if kernel.clustered:
        await hosts.open()

    async def usage(node: str, ids: tuple[str, ...]) -> dict[str, platform.Sample]:
        return (await kernel.bus.call(platform.STATS, platform.StatsRequest(ids=ids), node=node)).samples

    sampler = Sampler(containers, usage)
    return Gateway(kernel, sources, containers, hosts, Feed(kernel.bus, _TOLD), history, sampler)
