"""The hosts that one kind of container may go to, kept so that the best is found without looking at all.

A tree over all hosts' slots, in arrays: each inner node knows the least rank below it, and the most free memory and
processors. A search goes down best first and leaves out what has not room enough, so that both finding a host and a
change of one cost a few steps for each doubling of the cluster.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

NEVER = 1 << 62
"""The rank of a slot without a host of this pool."""


class Pool:
    """Up to `size` slots (a power of two)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.stale: set[int] = set()
        """Slots that changed since they were last set here: for who feeds this pool."""
        self._rank = [NEVER] * (2 * size)
        self._memory = [-1] * (2 * size)
        self._cpus = [-1] * (2 * size)

    def fill(self, slots: Mapping[int, tuple[int, int, int]]) -> None:
        """All at once, into an empty pool: cheaper than one after another."""
        for slot, (rank, memory, cpus) in slots.items():
            at = slot + self.size
            self._rank[at], self._memory[at], self._cpus[at] = rank, memory, cpus
        for at in range(self.size - 1, 0, -1):
            self._rank[at] = min(self._rank[2 * at], self._rank[2 * at + 1])
            self._memory[at] = max(self._memory[2 * at], self._memory[2 * at + 1])
            self._cpus[at] = max(self._cpus[2 * at], self._cpus[2 * at + 1])

    def set(self, slot: int, rank: int, memory: int, cpus: int) -> None:
        """A host's rank (the least is taken first) and what is free of it; `NEVER`: no host of this pool."""
        ranks, memories, all_cpus = self._rank, self._memory, self._cpus
        at = slot + self.size
        ranks[at], memories[at], all_cpus[at] = rank, memory, cpus
        at >>= 1
        while at:
            left, right = 2 * at, 2 * at + 1
            rank = min(ranks[right], ranks[left])
            memory = max(memories[right], memories[left])
            cpus = max(all_cpus[right], all_cpus[left])
            if ranks[at] == rank and memories[at] == memory and all_cpus[at] == cpus:
                return
            ranks[at], memories[at], all_cpus[at] = rank, memory, cpus
            at >>= 1

    def best(self, memory: int, cpus: int) -> Iterator[int]:
        """Slots with room, the least rank first."""
        ranks, memories, all_cpus, size = self._rank, self._memory, self._cpus, self.size
        waiting = [(ranks[1], 1)]
        while waiting:
            rank, at = heapq.heappop(waiting)
            if rank == NEVER:
                return
            if at >= size:
                yield at - size
                continue
            for child in (2 * at, 2 * at + 1):
                if memories[child] >= memory and all_cpus[child] >= cpus:
                    heapq.heappush(waiting, (ranks[child], child))
