"""Where a container goes: the hosts, what is reserved of each, and the choice among them.

Spread: of the hosts that may take it, the one with the fewest containers; of several, the one that has its image, then
the one with the most free memory. A host whose published ports it asks for is taken only when there is no other.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from shared.errors import FailedPrecondition

from .constraints import Constraint
from .facts import Ask, Host, Load
from .pool import NEVER, Pool

MOST_POOLS = 32
"""Kinds of containers for which a tree is kept; the longest unused is given up."""
TIES = 16
"""Hosts of equal load that are compared by image."""
_COUNT_BIT = 44
_KIB = 10

Kind = tuple[str, str, tuple[Constraint, ...]]


@dataclass
class _Slot:
    """A host's place in the trees, and what is reserved of it."""

    host: Host
    number: int
    memory: int = 0
    cpus: int = 0
    containers: int = 0
    ports: Counter[str] = field(default_factory=Counter)

    @property
    def free_memory(self) -> int:
        """Never less than none: hosts bring what they have into the cluster."""
        return max(0, self.host.memory - self.memory)

    @property
    def rank(self) -> int:
        return (self.containers << _COUNT_BIT) + (1 << _COUNT_BIT - 1) - (self.free_memory >> _KIB)


class Fleet:
    """All hosts and all containers. Deciding changes nothing: the caller puts what it decided."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        self._numbered: list[_Slot | None] = []
        self._free: list[int] = []
        self._where: dict[str, tuple[_Slot, Load]] = {}
        self._ports: dict[str, set[str]] = {}
        self._pools: OrderedDict[Kind, Pool] = OrderedDict()

    def set_host(self, host: Host) -> None:
        """A host is there, or has changed."""
        slot = self._slots.get(host.id)
        if slot is None:
            slot = self._slots[host.id] = _Slot(host, self._number())
            self._numbered[slot.number] = slot
        slot.host = host
        self._touch(slot)

    def _number(self) -> int:
        if self._free:
            return self._free.pop()
        self._numbered.append(None)
        if any(pool.size < len(self._numbered) for pool in self._pools.values()):
            self._pools.clear()
        return len(self._numbered) - 1

    def remove_host(self, id: str) -> None:
        """A host is of the cluster no more; nor are its containers."""
        slot = self._slots.pop(id, None)
        if slot is None:
            return
        for container in [key for key, (of, _) in self._where.items() if of is slot]:
            self.drop(container)
        self._numbered[slot.number] = None
        self._free.append(slot.number)
        self._touch(slot)

    def put(self, container: str, host: str, load: Load) -> None:
        """A container is on a host, whatever was known of it before; on a host that is not known it is forgotten."""
        present = self._where.get(container)
        if present is not None and present[0].host.id == host and present[1] == load:
            return
        self.drop(container)
        slot = self._slots.get(host)
        if slot is not None:
            self._where[container] = (slot, load)
            self._count(slot, load, 1)

    def drop(self, container: str) -> None:
        """A container is gone."""
        present = self._where.pop(container, None)
        if present is not None:
            self._count(*present, -1)

    def _count(self, slot: _Slot, load: Load, sign: int) -> None:
        slot.containers += sign
        slot.memory += sign * load.memory
        slot.cpus += sign * load.cpus
        for port in load.ports:
            slot.ports[port] += sign
            users = self._ports.setdefault(port, set())
            if slot.ports[port] > 0:
                users.add(slot.host.id)
            else:
                users.discard(slot.host.id)
                del slot.ports[port]
        self._touch(slot)

    def _touch(self, slot: _Slot) -> None:
        for pool in self._pools.values():
            pool.stale.add(slot.number)

    def host_of(self, container: str) -> str:
        """Where a container is; empty for one that is not known."""
        present = self._where.get(container)
        return present[0].host.id if present is not None else ""

    def containers(self, host: str) -> int:
        """How many containers a host has."""
        return self._slots[host].containers

    def decide(self, ask: Ask) -> str:
        """The host for a container; raises `FailedPrecondition` that says what is wrong with how many hosts."""
        pool = self._pool((ask.os, ask.architecture, ask.constraints))
        busy = frozenset[str]().union(*(self._ports.get(port, ()) for port in ask.load.ports))
        chosen = self._choose(pool, ask, busy) or (self._choose(pool, ask, frozenset()) if busy else "")
        if not chosen:
            raise FailedPrecondition(f"no suitable node ({explain((slot.host for slot in self._slots.values()), ask)})")
        return chosen

    def _pool(self, kind: Kind) -> Pool:
        pool = self._pools.get(kind)
        if pool is None:
            pool = self._pools[kind] = Pool(1 << max(4, (len(self._numbered) - 1).bit_length()))
            pool.stale.update(range(len(self._numbered)))
            if len(self._pools) > MOST_POOLS:
                self._pools.popitem(last=False)
        self._pools.move_to_end(kind)
        for number in pool.stale:
            slot = self._numbered[number]
            if slot is None or not _is_of(slot.host, kind):
                pool.set(number, NEVER, -1, -1)
            else:
                pool.set(number, slot.rank, slot.free_memory, max(0, slot.host.cpus - slot.cpus))
        pool.stale.clear()
        return pool

    def _choose(self, pool: Pool, ask: Ask, avoid: frozenset[str]) -> str:
        found = self._suitable(pool, ask, avoid)
        first = next(found, None)
        if first is None:
            return ""
        if not ask.image or first.host.id in ask.image:
            return first.host.id
        fewest = first.containers
        few = (slot for slot in map(self._slots.get, islice(ask.image, TIES)) if slot is not None)
        rivals = [slot for slot in islice(found, TIES) if slot.host.id in ask.image]
        rivals += [slot for slot in few if self._may(pool, slot, ask, avoid)]
        return min((slot for slot in rivals if slot.containers == fewest), key=_rank, default=first).host.id

    def _suitable(self, pool: Pool, ask: Ask, avoid: frozenset[str]) -> Iterator[_Slot]:
        """The best first. What binds to few hosts is not searched for among all."""
        near = [bond.hosts for bond in ask.bonds if not bond.apart]
        if near:
            hosts = frozenset[str].intersection(*near)
            few = [slot for slot in map(self._slots.get, hosts) if slot is not None]
            yield from sorted((slot for slot in few if self._may(pool, slot, ask, avoid)), key=_rank)
            return
        for number in pool.best(ask.load.memory, ask.load.cpus):
            slot = self._numbered[number]
            assert slot is not None
            if slot.host.id not in avoid and all(bond.allows(slot.host.id) for bond in ask.bonds):
                yield slot

    @staticmethod
    def _may(pool: Pool, slot: _Slot, ask: Ask, avoid: frozenset[str]) -> bool:
        return (
            slot.host.id not in avoid
            and pool.fits(slot.number, ask.load.memory, ask.load.cpus)
            and all(bond.allows(slot.host.id) for bond in ask.bonds)
        )


def _rank(slot: _Slot) -> int:
    return slot.rank


def _is_of(host: Host, kind: Kind) -> bool:
    """Whether containers of this kind may go to a host at all."""
    os, architecture, constraints = kind
    return host.is_open and _runs(host, os, architecture) and all(each.holds(host.attributes) for each in constraints)


def _runs(host: Host, os: str, architecture: str) -> bool:
    return host.os == os and (not architecture or architecture in host.architectures)


def explain(hosts: Iterable[Host], ask: Ask) -> str:
    """Why nothing fits, each host counted under the first thing that is wrong with it; in swarm mode's words."""
    counts: Counter[str] = Counter(_refusal(host, ask) for host in hosts)
    order = ("not available for new tasks", "unsupported platform", "scheduling constraints not satisfied")
    texts = [*order, *(bond.text for bond in ask.bonds), "insufficient resources"]
    parts = [_counted(text, counts[text]) for text in dict.fromkeys(texts) if counts[text]]
    return "; ".join(parts) or "the cluster has no nodes"


def _counted(text: str, count: int) -> str:
    nodes = "1 node" if count == 1 else f"{count} nodes"
    return f"{nodes} {text}" if text.startswith("not ") else f"{text} on {nodes}"


def _refusal(host: Host, ask: Ask) -> str:
    if not host.is_open:
        return "not available for new tasks"
    if not _runs(host, ask.os, ask.architecture):
        return "unsupported platform"
    if not all(each.holds(host.attributes) for each in ask.constraints):
        return "scheduling constraints not satisfied"
    return next((bond.text for bond in ask.bonds if not bond.allows(host.id)), "insufficient resources")
