"""What answers are made of, and whether it is still as it was: an answer may be given again until then.

Services tell a signal `changed` before they answer whoever caused the change, and the broker hands on in order: nobody
can have learned of a change while an answer from before it would still be given here.
"""

from __future__ import annotations


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
