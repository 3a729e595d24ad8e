"""Which hosts run a hub, and what has to be done so that the hubs are these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from shared.cluster import Peer
from shared.contracts.scheduler import NodeRecord

MOST = 5


def number(hosts: int) -> int:
    """How many hubs there are to be: one alone, or as many that a minority of them may be lost."""
    return 1 if hosts < 3 else 3 if hosts < MOST else MOST


def chosen(nodes: Iterable[NodeRecord], present: Set[str], lost: Set[str], there: Set[str]) -> tuple[str, ...]:
    """The hosts that are to run a hub, by id.

    A hub stays one, unless its host has been removed, is `lost` and there is another to take its place, or there are
    too many; then those go that joined last. New ones are hosts that are `there`, those that joined first.
    """
    by_age = [one.id for one in sorted(nodes, key=lambda one: (one.joined, one.id)) if not one.leaving]
    wanted = number(len(by_age))
    staying = [id for id in by_age if id in present and id not in lost][:wanted]
    coming = [id for id in by_age if id not in present and id in there - lost][: wanted - len(staying)]
    coming = coming[: max(0, odd(len(staying) + len(coming)) - len(staying))]
    waited_for = [id for id in by_age if id in present and id in lost]
    return tuple((staying + coming + waited_for)[:wanted])


def odd(count: int) -> int:
    """The greatest odd number that is no greater: one more could lose no more hubs, and has one more to lose."""
    return count - (count % 2 == 0)


def outlive(staying: Set[str], group: Set[str]) -> bool:
    """Whether these are a majority of the hubs that keep what is agreed on, so that the others may go."""
    return 2 * len(staying & group) > len(group)


class Step(NamedTuple):
    """What is to be done next: a server to be removed, or so many replicas to be made; neither: nothing now."""

    remove: Peer | None = None
    replicas: int = 0
    settled: bool = False


def step(names: Set[str], peers: Iterable[Peer], replicas: int, current: Set[str], behind: Set[str]) -> Step:
    """The next step to hubs of these `names`, where `peers` are the group now.

    What is agreed on is kept `replicas` times; hubs `current` have all of it. A server is removed only if one that
    stays has all.
    """
    there = {peer.name: peer for peer in peers}
    present = there.keys() & names
    strangers = [peer for name, peer in there.items() if name not in names and (name or present == names)]
    if strangers and current & names:
        return Step(remove=strangers[0])
    if strangers:
        return Step(replicas=min(replicas + 1, MOST)) if present else Step()
    enough = len(present) if present == names else odd(len(present))
    if enough > replicas or (present == names and enough != replicas):
        return Step(replicas=enough)
    # who is to have it is told of only after it has been decided that there are to be more: none behind is not enough
    return Step(settled=present == names <= current and not behind)


def names(nodes: Mapping[str, NodeRecord], hubs: Mapping[str, str]) -> frozenset[str]:
    """What the hubs are called whose hosts are in the cluster."""
    return frozenset(name for node, name in hubs.items() if node in nodes)
