"""What answers are made of, and whether it is still as it was: an answer may be given again until then.

Services tell a signal `changed` before they answer whoever caused the change, and the broker hands on in order: nobody
can have learned of a change while an answer from before it would still be given here.
"""

from __future__ import annotations

from typing import Self

from shared.bus import Bus
from shared.contracts import image_store, network, platform, volume
from shared.contracts.base import Contract, Empty, Event


class Source:
    """One thing that answers are made of; `changed` is called whenever it may have changed."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def changed(self) -> None:
        self.count += 1


class Unchanged:
    """Holds until one of the sources changes. To be made before they are looked at."""

    __slots__ = ("_count", "_sources")

    def __init__(self, *sources: Source) -> None:
        self._sources = sources
        self._count = sum([source.count for source in sources])

    def holds(self) -> bool:
        return self._count == sum([source.count for source in self._sources])


class Sources:
    """The sources of this gateway's answers."""

    def __init__(self) -> None:
        self.containers, self.images, self.networks, self.volumes, self.host = (Source() for _ in range(5))

    @classmethod
    async def open(cls, bus: Bus) -> Self:
        """Listens; what is missed while the broker is away counts as changed. Who watches containers tells of them."""
        sources = cls()
        for contract, source, event in (
            (image_store.CONTRACT, sources.images, image_store.CHANGED),
            (network.CONTRACT, sources.networks, network.CHANGED),
            (volume.CONTRACT, sources.volumes, volume.CHANGED),
            (platform.CONTRACT, sources.host, None),
        ):
            await _follow(bus, contract, source, event)
        await bus.transport.flush()
        return sources


async def _follow(bus: Bus, contract: Contract, source: Source, event: Event[Empty] | None) -> None:
    """Changes are what the service tells, and a new instance of it, which may know other things."""
    bus.on_started(contract.name, source.changed)
    bus.transport.on_reconnect(source.changed)
    if event is not None:
        await bus.hear(event, lambda _: source.changed())
