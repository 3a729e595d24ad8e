"""What image store, network and volume service have, kept here from what they tell of changes: reads ask nobody.

They answer some endpoints of these services: lists of everything, and one thing by its id or whole name. What else may
be asked (None) is for the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Generic, Self, TypeVar

import msgspec

from shared.bus import Bus
from shared.contracts import image_store, network, platform, volume
from shared.contracts.base import Endpoint, Message
from shared.reference import listed_as

from .sources import Source, Unchanged

Item = TypeVar("Item")
Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


class Mirror(Source, Generic[Item]):
    """A source with its contents, by id or name: asked for when they are first wanted, then kept up with signals."""

    def __init__(self, ask: Callable[[], Awaitable[dict[str, Item]]]) -> None:
        super().__init__()
        self._ask = ask
        self._known: dict[str, Item] | None = None

    def changed(self) -> None:
        """Anything may be other than before: all of it is asked for again."""
        self._known = None
        super().changed()

    async def known(self) -> dict[str, Item]:
        """All there is. It changes: not to be held over an await."""
        if self._known is not None:
            return self._known
        fresh = Unchanged(self)
        found = await self._ask()
        if fresh.holds():
            self._known = found
        return found

    def _update(self, changed: dict[str, Item], removed: Collection[str]) -> None:
        """These are so now, or gone; where none is named, anything may have changed."""
        if self._known is None or not (changed or removed):
            self.changed()
            return
        self.count += 1
        self._known |= changed
        for key in removed:
            self._known.pop(key, None)


class Volumes(Mirror[volume.VolumeSpec]):
    """By name."""

    def __init__(self, bus: Bus) -> None:
        async def ask() -> dict[str, volume.VolumeSpec]:
            return _by_name((await bus.call(volume.LIST, volume.ListRequest())).volumes)

        super().__init__(ask)

    def tell(self, news: volume.Changed) -> None:
        self._update(_by_name(news.volumes), news.removed)

    async def list(self, request: volume.ListRequest) -> volume.ListReply | None:
        if request.filters:
            return None
        known = await self.known()
        return volume.ListReply(volumes=tuple(known[name] for name in sorted(known)))

    async def inspect(self, request: volume.NameRequest) -> volume.VolumeSpec | None:
        return (await self.known()).get(request.name)


def _by_name(specs: Iterable[volume.VolumeSpec]) -> dict[str, volume.VolumeSpec]:
    return {spec.name: spec for spec in specs}


class Networks(Mirror[network.Network]):
    """By id."""

    def __init__(self, bus: Bus) -> None:
        async def ask() -> dict[str, network.Network]:
            found = await bus.call(network.LIST, network.ListRequest())
            return {each.spec.id: each for each in found.networks}

        super().__init__(ask)

    async def list(self, request: network.ListRequest) -> network.ListReply | None:
        return None if request.filters else network.ListReply(networks=tuple((await self.known()).values()))

    async def inspect(self, request: network.InspectRequest) -> network.Network | None:
        if request.scope:
            return None
        known, name = await self.known(), request.reference
        return known.get(name) or next((each for each in known.values() if each.spec.name == name), None)

    def tell(self, news: network.Changed) -> None:
        known = self._known or {}
        changed: dict[str, network.Network] = {}

        def present(id: str) -> network.Network | None:
            return changed.get(id) or known.get(id)

        for spec in news.networks:
            before = present(spec.id)
            changed[spec.id] = network.Network(spec=spec, endpoints=before.endpoints if before else ())
        for endpoint in news.endpoints:
            if before := present(endpoint.network_id):
                changed[endpoint.network_id] = _with(before, endpoint.id, endpoint)
        for id, network_id in news.left.items():
            if before := present(network_id):
                changed[network_id] = _with(before, id, None)
        self._update(changed, news.removed)


def _with(before: network.Network, id: str, endpoint: network.EndpointRecord | None) -> network.Network:
    """The network with one endpoint as it is now (None: gone)."""
    endpoints = {each.id: each for each in before.endpoints}
    if endpoint is not None:
        endpoints[id] = endpoint
    else:
        endpoints.pop(id, None)
    return msgspec.structs.replace(before, endpoints=tuple(endpoints.values()))


class Images(Mirror[image_store.Image]):
    """By id: those that a list without any filter shows."""

    def __init__(self, bus: Bus) -> None:
        async def ask() -> dict[str, image_store.Image]:
            found = await bus.call(image_store.LIST, image_store.ListRequest())
            self._whole.clear()
            return {each.id: each for each in found.images}

        super().__init__(ask)
        self._bus = bus
        self._whole: set[str] = set()
        """Of a list's image it is not known what only an inspection shows; of these it is."""

    def tell(self, news: image_store.Changed) -> None:
        self._whole.update(each.id for each in news.images)
        self._whole.difference_update(news.removed)
        self._update({each.id: each for each in news.images}, news.removed)

    async def list(self, request: image_store.ListRequest) -> image_store.ListReply | None:
        if request != image_store.ListRequest():
            return None
        known = (await self.known()).values()
        return image_store.ListReply(images=tuple(sorted(known, key=lambda each: (-each.created_ns, each.id))))

    async def resolve(self, request: image_store.ResolveRequest) -> image_store.Image | None:
        if request != image_store.ResolveRequest(reference=request.reference):
            return None
        if (found := self.whole(request.reference)) is not None:
            return found
        fresh = Unchanged(self)
        image, _ = await asyncio.gather(self._bus.call(image_store.RESOLVE, request), self.known())
        if fresh.holds():
            self._learn(image)
        return image

    def whole(self, reference: str) -> image_store.Image | None:
        """The image of that id or name, if it is known with everything."""
        known = self._known or {}
        name = listed_as(reference)
        found = known.get(reference) or next((each for each in known.values() if _is_called(each, name)), None)
        return found if found is not None and found.id in self._whole else None

    def _learn(self, image: image_store.Image) -> None:
        """What the store has answered just now: it is asked once only."""
        known = self._known or {}
        listed = known.get(image.id)
        if listed is not None and (listed.repo_tags, listed.repo_digests) == (image.repo_tags, image.repo_digests):
            known[image.id] = image
            self._whole.add(image.id)


def _is_called(image: image_store.Image, name: str) -> bool:
    return name in image.repo_tags or name in image.repo_digests


News = TypeVar("News", image_store.Changed, network.Changed, volume.Changed)


def _of_host(node: str, tell: Callable[[News], None]) -> Callable[[News], None]:
    """Tells what is of this host, whatever brokers hand on between hosts."""

    def hear(news: News) -> None:
        if news.node in ("", node):
            tell(news)

    return hear


class Sources:
    """What this gateway's answers are made of."""

    def __init__(self, bus: Bus) -> None:
        self.containers, self.host = Source(), Source()
        self.images, self.networks, self.volumes = Images(bus), Networks(bus), Volumes(bus)
        self._answers: dict[str, Callable[[Any], Awaitable[Any]]] = {
            image_store.LIST.name: self.images.list,
            image_store.RESOLVE.name: self.images.resolve,
            network.LIST.name: self.networks.list,
            network.INSPECT.name: self.networks.inspect,
            volume.LIST.name: self.volumes.list,
            volume.INSPECT.name: self.volumes.inspect,
        }

    async def answer(self, endpoint: Endpoint[Req, Rep], request: Req) -> Rep | None:
        """What the service of this host would answer; None: it has to be asked."""
        answer = self._answers.get(endpoint.name)
        return None if answer is None else await answer(request)

    @classmethod
    async def open(cls, bus: Bus) -> Self:
        """Listens; what is missed while the broker is away counts as changed. Who watches containers tells of them."""
        sources = cls(bus)
        for contract, source in (
            (image_store.CONTRACT, sources.images),
            (network.CONTRACT, sources.networks),
            (volume.CONTRACT, sources.volumes),
            (platform.CONTRACT, sources.host),
        ):
            bus.on_started(contract.name, source.changed, bus.node)  # a new instance may know other things
            bus.transport.on_reconnect(source.changed)
        await bus.hear(image_store.CHANGED, _of_host(bus.node, sources.images.tell))
        await bus.hear(network.CHANGED, _of_host(bus.node, sources.networks.tell))
        await bus.hear(volume.CHANGED, _of_host(bus.node, sources.volumes.tell))
        await bus.transport.flush()
        return sources
