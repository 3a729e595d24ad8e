"""What every network driver decides: which options it takes, what it needs of the host, how endpoints are wired.

A driver is a plan, not an actor: adapters make what `HostLink` and `Wire` say. Networks across hosts and foreign
drivers join here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from shared.contracts.network import NetworkSpec

from .. import options as named
from ..addresses import Interface
from ..options import Options
from ..ruleset import BridgeRules


@dataclass(frozen=True)
class HostLink:
    """An interface of the host that a network needs: its bridge, or the parent of its containers' interfaces.

    `kind` is the kernel's (`bridge`, `vlan`, `dummy`) where it is to be made; empty: it is there. A vlan is made on
    `under` with the tag `vlan`. `mark` says in the interface's alias for whom it was made.
    """

    name: str
    kind: str = "bridge"
    addresses: tuple[Interface, ...] = ()
    ipv6: bool = False
    mtu: int = 0
    under: str = ""
    vlan: int = 0
    mark: str = ""


@dataclass(frozen=True)
class Wire:
    """How an endpoint's interface is made: a veth whose other end is a port of `master`, or one on top of it.

    `isolated`: the port does not pass frames to other isolated ports of its bridge.
    """

    kind: str = "veth"
    master: str = ""
    mode: str = ""
    flag: str = ""
    isolated: bool = False


class Driver:
    """The driver of networks that have neither interface nor address (`host`, `null`)."""

    name: ClassVar[str] = "null"
    publishes: ClassVar[bool] = False
    """Whether ports of containers can be published on the host."""

    def check(self, options: Options, internal: bool) -> None:
        """Refuses options that no such network could have, in dockerd's words."""

    def internal(self, spec: NetworkSpec) -> bool:
        """Whether its containers reach nobody outside."""
        return spec.internal

    def check_subnets(self, versions: tuple[int, ...], *, ipv4: bool, ipv6: bool) -> None:
        """Refuses a number of subnets (their IP versions) that the driver cannot serve."""

    def has_gateway(self, options: Options, internal: bool, version: int) -> bool:
        """Whether one address of each subnet is the gateway's."""
        return False

    def interface(self, spec: NetworkSpec, prefix: str) -> str:
        """Name of the host's interface that the network needs; `prefix` begins the names of what the engine makes."""
        return ""

    def link(self, spec: NetworkSpec, prefix: str, present: Collection[str]) -> HostLink | None:
        """What the host needs for the network, given its interfaces. Raises where that cannot be."""
        return None

    def conflict(self, spec: NetworkSpec, other: NetworkSpec) -> str:
        """Why the network cannot use the same interface of the host as another of the driver; empty when it can."""
        return ""

    def wire(self, spec: NetworkSpec, prefix: str) -> Wire | None:
        """How its endpoints are wired; None: they have no interface."""
        return None

    def mtu(self, spec: NetworkSpec) -> int:
        """Bytes in a packet of its containers' interfaces."""
        return named.mtu(spec.options)

    def routes_by_link(self, spec: NetworkSpec) -> bool:
        """Whether the default route names the interface alone, without a gateway."""
        return False

    def rules(self, spec: NetworkSpec, prefix: str) -> BridgeRules | None:
        """What the firewall must know of the network."""
        return None
