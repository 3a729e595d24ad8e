"""What is done to the cluster, and when: decided beforehand from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, count
from typing import NamedTuple

LONGEST = 8.0
HOST_DOWN = 6.0
PAUSE = 1.5


class Fault(NamedTuple):
    """`kill`: a process of a host; `power`: the host; `cut`: the line between two. `seconds` until it is mended."""

    kind: str
    host: int
    other: int = 0
    process: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        what = {"kill": self.process, "power": "power", "cut": f"line to {self.other}"}[self.kind]
        return f"{self.kind} {what} of host {self.host}" + (f" for {self.seconds:.1f} s" if self.seconds else "")


def faults(seed: int, hosts: Sequence[int], processes: Sequence[str]) -> Iterator[tuple[Fault, ...]]:
    """One after the other, without end: what happens at the same time is one tuple.

    Every process of every host and every host has its turn before any has its second; between them lines are cut, one
    or all of a host.
    """
    chance = random.Random(seed)
    for _ in count():
        turns = [Fault("kill", host, process=process) for host in hosts for process in processes]
        turns += [Fault("power", host, seconds=HOST_DOWN) for host in hosts]
        chance.shuffle(turns)
        for turn in turns:
            yield (turn,)
            yield _cut(chance, hosts)


def _cut(chance: random.Random, hosts: Sequence[int]) -> tuple[Fault, ...]:
    seconds = chance.uniform(0.5, LONGEST)
    if chance.random() < 0.5:
        one, other = chance.choice(list(combinations(hosts, 2)))
        return (Fault("cut", one, other, seconds=seconds),)
    alone = chance.choice(hosts)
    return tuple(Fault("cut", alone, other, seconds=seconds) for other in hosts if other != alone)
