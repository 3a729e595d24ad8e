"""IPAM: which subnet a network gets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from shared.config import AddressPool
from shared.errors import InvalidArgument, ResourceExhausted

Network4 = ipaddress.IPv4Network

EXHAUSTED = "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"


def subnets(pool: AddressPool) -> Iterator[Network4]:
    """The pool cut into subnets, beginning at the base's own address: 172.17.0.0/12 begins at 172.17."""
    try:
        base = ipaddress.IPv4Interface(pool.base)
        size = 1 << (32 - pool.size)
    except ValueError as error:
        raise InvalidArgument(f"address pool {pool.base!r}: {error}") from None
    if not base.network.prefixlen <= pool.size <= 30:
        raise InvalidArgument(f"address pool {pool.base!r}: size {pool.size} is not a part of it")
    first, last = int(base.ip) & -size, int(base.network.broadcast_address)
    for start in range(first, last, size):
        yield Network4((start, pool.size))


def choose(pools: Sequence[AddressPool], taken: Iterable[Network4]) -> Network4:
    """The first subnet of the pools that overlaps none taken (by networks, or by routes of the host)."""
    taken = tuple(taken)
    for pool in pools:
        for subnet in subnets(pool):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    raise ResourceExhausted(EXHAUSTED)


def check_free(subnet: Network4, networks: Iterable[Network4]) -> None:
    """Refuses a subnet that overlaps another network's."""
    if any(subnet.overlaps(other) for other in networks):
        raise InvalidArgument("Pool overlaps with other one on this address space")
