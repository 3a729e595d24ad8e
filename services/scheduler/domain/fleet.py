"""Where a container goes: the hosts, what is reserved of each, and the choice among them.

Spread: of the hosts that may take it, the one with the fewest containers; of several, the one that has its image, then
the one with the most free memory. A host whose published ports it asks for is taken only when there is no other.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import islice, takewhile

from shared.errors import FailedPrecondition

from .constraints import Constraint
from .facts import Ask, Host, Load
from .pool import NEVER, Pool

MOST_POOLS = 32
"""Kinds of containers for which a tree is kept; the longest unused is given up."""
TIES = 6
"""Hosts of equal load that are compared by image."""
_COUNT_BIT = 44
_KIB = 10

Kind = tuple[str, str, tuple[Constraint, ...]]


@dataclass(slots=True, eq=False)
class _Slot:
    """A host's place in the trees, what is reserved of it, and the kinds of containers whose trees it is in."""

    host: Host
    number: int
    memory: int = 0
    cpus: int = 0
    containers: int = 0
    ports: Counter[str] = field(default_factory=Counter)
    kinds: list[Kind] = field(default_factory=list)

    @property
    def standing(self) -> tuple[int, int, int]:
        """Rank, free memory and processors: never less than none, for hosts bring what they have into the cluster."""
        free = max(0, self.host.memory - self.memory)
        rank = (self.containers << _COUNT_BIT) + (1 << _COUNT_BIT - 1) - (free >> _KIB)
        return rank, free, max(0, self.host.cpus - self.cpus)

    def may(self, ask: Ask, avoid: Set[str]) -> bool:
        """Whether the container may come."""
        _, memory, cpus = self.standing
        return (
            memory >= ask.load.memory
            and cpus >= ask.load.cpus
            and self.host.id not in avoid
            and _is_of(self.host, _kind(ask))
            and all(bond.allows(self.host.id) for bond in ask.bonds)
        )


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
        elif slot.host == host:
            return
        slot.host = host
        self._touch(slot)
        slot.kinds = [kind for kind in self._pools if _is_of(host, kind)]
        self._touch(slot)

    def _number(self) -> int:
        if self._free:
            return self._free.pop()
        self._numbered.append(None)
        if any(pool.size < len(self._numbered) for pool in self._pools.values()):
            for kind in tuple(self._pools):
                self._give_up(kind)
        return len(self._numbered) - 1

    def remove_host(self, id: str) -> None:
        """A host is of the cluster no more; nor are its containers."""
        slot = self._slots.pop(id, None)
        if slot is None:
            return
        for container in [key for key, (of, _) in self._where.items() if of is slot]:
            self.drop(container)
        self._touch(slot)
        self._numbered[slot.number] = None
        self._free.append(slot.number)

    def put(self, container: str, host: str, load: Load) -> None:
        """A container is on a host, whatever was known of it before; on a host that is not known it is forgotten."""
        present = self._where.get(container)
        if present is not None:
            if present[0].host.id == host and present[1] == load:
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
        for kind in slot.kinds:
            self._pools[kind].stale.add(slot.number)

    def host_of(self, container: str) -> str:
        """Where a container is; empty for one that is not known."""
        present = self._where.get(container)
        return present[0].host.id if present is not None else ""

    def containers(self, host: str) -> int:
        """How many containers a host has."""
        return self._slots[host].containers

    def decide(self, ask: Ask) -> str:
        """The host for a container; raises `FailedPrecondition` that says what is wrong with how many hosts."""
        busy = frozenset[str]().union(*(self._ports.get(port, ()) for port in ask.load.ports))
        chosen = self._choose(ask, busy) or (self._choose(ask, frozenset()) if busy else None)
        if chosen is None:
            raise FailedPrecondition(f"no suitable node ({explain((slot.host for slot in self._slots.values()), ask)})")
        return chosen.host.id

    def _choose(self, ask: Ask, avoid: Set[str]) -> _Slot | None:
        near = [bond.hosts for bond in ask.bonds if not bond.apart]
        if near:  # only few come into question
            few = self._allowed(frozenset[str].intersection(*near), ask, avoid)
            return min(
                few, key=lambda slot: (slot.containers, slot.host.id not in ask.image, slot.standing), default=None
            )
        found = self._suitable(ask, avoid)
        best = next(found, None)
        if best is None or not ask.image or best.host.id in ask.image:
            return best
        holders = [
            slot for slot in self._allowed(islice(ask.image, TIES), ask, avoid) if slot.containers == best.containers
        ]
        if holders or len(ask.image) <= TIES:
            return min(holders, key=lambda slot: slot.standing, default=best)
        equals = takewhile(lambda slot: slot.containers == best.containers, islice(found, TIES))
        return next((slot for slot in equals if slot.host.id in ask.image), best)

    def _allowed(self, hosts: Iterable[str], ask: Ask, avoid: Set[str]) -> list[_Slot]:
        known = (slot for slot in map(self._slots.get, hosts) if slot is not None)
        return [slot for slot in known if slot.may(ask, avoid)]

    def _suitable(self, ask: Ask, avoid: Set[str]) -> Iterator[_Slot]:
        """The best first."""
        for number in self._pool(_kind(ask)).best(ask.load.memory, ask.load.cpus):
            slot = self._numbered[number]
            assert slot is not None
            if slot.host.id not in avoid and all(bond.allows(slot.host.id) for bond in ask.bonds):
                yield slot

    def _pool(self, kind: Kind) -> Pool:
        pool = self._pools.get(kind)
        if pool is None:
            return self._new_pool(kind)
        self._pools.move_to_end(kind)
        for number in pool.stale:
            slot = self._numbered[number]
            if slot is None or kind not in slot.kinds:
                pool.set(number, NEVER, -1, -1)
            else:
                pool.set(number, *slot.standing)
        pool.stale.clear()
        return pool

    def _new_pool(self, kind: Kind) -> Pool:
        pool = Pool(1 << max(4, (len(self._numbered) - 1).bit_length()))
        members = [slot for slot in self._slots.values() if _is_of(slot.host, kind)]
        pool.fill({slot.number: slot.standing for slot in members})
        if len(self._pools) == MOST_POOLS:
            self._give_up(next(iter(self._pools)))
        self._pools[kind] = pool
        for slot in members:
            slot.kinds.append(kind)
        return pool

    def _give_up(self, kind: Kind) -> None:
        del self._pools[kind]
        for slot in self._slots.values():
            if kind in slot.kinds:
                slot.kinds.remove(kind)


def _kind(ask: Ask) -> Kind:
    return ask.os, ask.architecture, ask.constraints


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
