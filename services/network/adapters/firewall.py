"""The engine's nftables table: one transaction per change."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shared import telemetry

from ..domain import ruleset
from ..domain.addresses import Address
from ..domain.publishing import Forward
from ..domain.ruleset import BridgeRules
from .conntrack import Conntrack
from .nftables import Nftables


class Firewall:
    """Rules of all bridges and published ports. Methods wait for the kernel: call them in a thread."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._mesh: frozenset[tuple[str, str]] = frozenset()
        self._nftables = Nftables()
        self._conntrack = Conntrack()

    def close(self) -> None:
        """Ends the conversation; the rules stay."""
        self._conntrack.close()

    def replace(self, bridges: Iterable[BridgeRules], forwards: Iterable[Forward]) -> None:
        """Makes the table say exactly this, without a moment in which it says nothing."""
        with telemetry.span("nft.replace"):
            whole = ruleset.table(self._table, bridges, forwards)
            self._nftables.run(whole + ruleset.add_mesh(self._table, sorted(self._mesh)))

    def add_bridge(self, bridge: BridgeRules) -> None:
        with telemetry.span("nft.add_bridge"):
            self._nftables.run(ruleset.add_bridge(self._table, bridge))

    def remove_bridge(self, bridge: BridgeRules) -> None:
        with telemetry.span("nft.remove_bridge"):
            self._nftables.run(ruleset.remove_bridge(self._table, bridge))

    def publish(self, forwards: Collection[Forward]) -> None:
        """Leads ports to containers; none is fine."""
        if forwards:
            with telemetry.span("nft.publish", ports=len(forwards)):
                self._nftables.run(ruleset.add_forwards(self._table, forwards))
                self._conntrack.forget(forwards)

    def unpublish(self, forwards: Collection[Forward]) -> None:
        """Leads ports nowhere; none is fine."""
        if forwards:
            with telemetry.span("nft.unpublish", ports=len(forwards)):
                self._nftables.run(ruleset.remove_forwards(self._table, forwards))
                self._conntrack.forget(forwards)

    def republish(self, before: Collection[Forward], after: Collection[Forward], *, cut: bool = False) -> None:
        """Leads ports elsewhere in one transaction; those that are in both stay untouched. `cut`: streams through those
        that are led there no more end.
        """
        gone, new = [f for f in before if f not in after], [f for f in after if f not in before]
        if gone or new:
            with telemetry.span("nft.republish", ports=len(gone) + len(new)):
                removed = ruleset.remove_forwards(self._table, gone)
                self._nftables.run(removed + ruleset.add_forwards(self._table, new))
                self._conntrack.forget([*gone, *new])
                if cut:
                    self._conntrack.cut(gone)

    def mesh(self, elements: frozenset[tuple[str, str]]) -> None:
        """The routing mesh is this, in one transaction. Streams through ports that lead there no more end."""
        if elements != self._mesh:
            with telemetry.span("nft.mesh", elements=len(elements)):
                gone, new = self._mesh - elements, elements - self._mesh
                removed = ruleset.remove_mesh(self._table, sorted(gone))
                self._nftables.run(removed + ruleset.add_mesh(self._table, sorted(new)))
                self._mesh = elements
                self._conntrack.forget(ruleset.led(gone | new))
                self._conntrack.cut(ruleset.led(gone))

    def meet(self, addresses: Collection[Address]) -> None:
        """Containers with these addresses have come from other hosts, perhaps with streams that were here before."""
        if addresses:
            self._conntrack.meet(addresses)

    def remove(self) -> None:
        """Takes the whole table away."""
        self._nftables.run(ruleset.remove_table(self._table))
