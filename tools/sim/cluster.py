"""A cluster that exists in memory only, and the stream of containers that come and go in it. Seeded: repeatable."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

from services.scheduler.domain.constraints import Constraint, parse_all
from services.scheduler.domain.facts import Ask, Bond, Host, Load
from services.scheduler.domain.fleet import Fleet

MIB, GIB = 1 << 20, 1 << 30
CPU = 1_000_000_000
ZONES = 8
IMAGES = 200
MOST_HOLDERS = 0.2
"""The most frequent image is on that share of the hosts, others on fewer."""
SIZES = ((0, 0), (64 * MIB, CPU // 100), (256 * MIB, CPU // 20), (1 * GIB, CPU // 4))
"""Memory and processors that containers ask for, in equal shares."""


def hosts(count: int, chosen: random.Random) -> list[Host]:
    """Of three sizes, in eight zones; a tenth is arm64, a third has fast disks."""
    made = []
    for number in range(count):
        big = chosen.choice((1, 1, 2))
        attributes = {"node.labels.zone": str(number % ZONES), "node.hostname": f"host{number}"}
        if number % 3 == 0:
            attributes["node.labels.disk"] = "ssd"
        architecture = "arm64" if number % 10 == 9 else "amd64"
        made.append(
            Host(f"{number:025}", big * 64 * GIB, big * 32 * CPU, "linux", frozenset((architecture,)), True, attributes)
        )
    return made


class Requests:
    """Containers to place, as a mix: most are plain, some want a zone, a disk, a port, or are bound to one host."""

    def __init__(self, cluster: list[Host], chosen: random.Random) -> None:
        self._hosts, self._chosen = cluster, chosen
        self._images = [self._holders(number) for number in range(IMAGES)]
        self._disks = parse_all("node.labels.disk==ssd")
        self._zones: list[tuple[Constraint, ...]] = [parse_all(f"node.labels.zone=={zone}") for zone in range(ZONES)]

    def _holders(self, number: int) -> frozenset[str]:
        count = max(1, int(len(self._hosts) * MOST_HOLDERS / (number + 1)))
        return frozenset(host.id for host in self._chosen.sample(self._hosts, count))

    def next(self) -> Ask:
        chosen = self._chosen
        memory, cpus = chosen.choice(SIZES)
        kind = chosen.random()
        ports = (f"{chosen.randrange(1024, 9024)}/tcp",) if 0.70 <= kind < 0.75 else ()
        constraints: tuple[Constraint, ...] = ()
        bonds: tuple[Bond, ...] = ()
        if 0.75 <= kind < 0.85:
            constraints = self._disks
        elif 0.85 <= kind < 0.95:
            constraints = chosen.choice(self._zones)
        elif kind >= 0.95:
            bonds = (Bond(frozenset((chosen.choice(self._hosts).id,)), "no volume data"),)
        return Ask(
            load=Load(memory, cpus, ports),
            architecture="arm64" if kind < 0.05 else "" if bonds else "amd64",
            constraints=constraints,
            bonds=bonds,
            image=self._images[min(int(chosen.expovariate(0.05)), IMAGES - 1)],
        )


class Simulation:
    """A fleet that is filled, and then lives on: for each container that comes, one goes."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.chosen = random.Random(seed)
        self.hosts = hosts(count, self.chosen)
        self.requests = Requests(self.hosts, self.chosen)
        self.fleet = Fleet()
        for host in self.hosts:
            self.fleet.set_host(host)
        self._ids = self._fresh()
        self._present: list[str] = []

    def _fresh(self) -> Iterator[str]:
        while True:
            yield f"{self.chosen.getrandbits(256):064x}"

    def place(self, ask: Ask) -> None:
        """Raises `FailedPrecondition` when the cluster is full."""
        id = next(self._ids)
        self.fleet.put(id, self.fleet.decide(ask), ask.load)
        self._present.append(id)

    def end_one(self) -> None:
        """A container, any, is gone."""
        at = self.chosen.randrange(len(self._present))
        self._present[at], self._present[-1] = self._present[-1], self._present[at]
        self.fleet.drop(self._present.pop())

    def fill(self, containers: int) -> None:
        """Evenly, with containers that want nothing but room: deciding about each would take minutes."""
        least = [(0, host.id) for host in self.hosts]
        for _ in range(containers):
            count, host = least[0]
            heapq.heapreplace(least, (count + 1, host))
            id = next(self._ids)
            self.fleet.put(id, host, Load(*self.chosen.choice(SIZES)))
            self._present.append(id)

    @property
    def containers(self) -> int:
        return len(self._present)
