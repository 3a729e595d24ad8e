"""Which hosts have been silent for too long, by the clock of who listens. Pure; times are nanoseconds of one clock.

A host ends its movable containers `GUARD` after it last began to renew its lease; the renewal is heard after it was
begun. Who waits `LOST` after the last renewal that was heard, and then finds that there was no later one, knows that
they have ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.tenure import LOST, SECOND


class Vigil:
    """What was heard last of each host, by the revision of its lease."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[int, int]] = {}

    def heard(self, node: str, revision: int, now: int) -> bool:
        """A lease is as it is; only a revision that was not seen before is a sign of life.

        Whether that is news: the host was not known, or silent for too long.
        """
        before = self._heard.get(node)
        if before is not None and before[0] == revision:
            return False
        self._heard[node] = (revision, now)
        return before is None or _silent(before[1], now)

    def again(self, node: str, now: int) -> None:
        """There was a renewal that is not seen here yet."""
        self._heard[node] = (self._heard[node][0], now)

    def forget(self, node: str) -> None:
        self._heard.pop(node, None)

    def silent(self, now: int) -> dict[str, int]:
        """Those not heard of for too long, with the last revision."""
        return {node: revision for node, (revision, at) in self._heard.items() if _silent(at, now)}

    def due(self, but: Iterable[str] = ()) -> int | None:
        """When the next one has been silent for too long; of those in `but` that is known."""
        left = [at for node, (_, at) in self._heard.items() if node not in set(but)]
        return min(left) + int(LOST * SECOND) if left else None


def _silent(heard: int, now: int) -> bool:
    return now - heard >= LOST * SECOND


def leader(present: Iterable[str]) -> str:
    """Who acts, of the hosts that hold their leases: all that it does is compare-and-set, so that two do no harm."""
    return min(present, default="")
