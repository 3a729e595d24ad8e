"""What hosts agree on about the networks that span them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shared.config import AddressPool
from shared.contracts.network import NetworkSpec

from . import pools, subnets

SCOPE = "global"
"""libnetwork's word for networks of several hosts that are in no swarm."""
FIRST_NUMBER, LAST_NUMBER = 4097, (1 << 24) - 1
"""VXLAN network identifiers given out: those that no VLAN has, as in swarm mode; 24 bits (RFC 7348)."""


def pools_of(cluster: str) -> tuple[AddressPool, ...]:
    """Subnets of networks whose creator names none: as in swarm mode, and of IPv6 the cluster's own (RFC 4193)."""
    return (AddressPool(base="10.0.1.0/8", size=24), pools.unique_local(cluster))


def free_number(taken: Iterable[int]) -> int:
    """The lowest number that no network has."""
    used = set(taken)
    return next(number for number in range(FIRST_NUMBER, LAST_NUMBER + 1) if number not in used)


def collide(one: NetworkSpec, other: NetworkSpec) -> bool:
    """Whether two networks cannot both be: they have one name, or an address in common."""
    return one.name == other.name or any(
        pools.overlaps(subnet, subnets.subnets(other)) for subnet in subnets.subnets(one)
    )


def removing(spec: NetworkSpec, node: str) -> NetworkSpec:
    """The network while that host takes it away: nobody joins it."""
    return msgspec.structs.replace(spec, removing=node)
