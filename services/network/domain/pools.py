"""IPAM: which subnet a network gets."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from shared.config import AddressPool
from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted

from .addresses import Subnet

EXHAUSTED = "all predefined address pools have been fully subnetted"
OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"
ULA_PREFIX, ULA_GLOBAL_BITS = 0xFD << 120, 40


def unique_local(host_id: str) -> AddressPool:
    """The host's own part of fd00::/8 (RFC 4193), made of its id as moby makes it: the same after each restart."""
    digest = int.from_bytes(hashlib.sha256(host_id.encode()).digest()[:8])
    global_id = digest & ((1 << ULA_GLOBAL_BITS) - 1)
    return AddressPool(base=f"{ipaddress.IPv6Address(ULA_PREFIX | global_id << 80)}/48", size=64)


def with_ipv6(pools: Sequence[AddressPool], host_id: str) -> tuple[AddressPool, ...]:
    """The pools, and a unique local one when none of them is of IPv6."""
    if any(_base(pool).version == 6 for pool in pools):
        return tuple(pools)
    return (*pools, unique_local(host_id))


def _base(pool: AddressPool) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        return ipaddress.ip_interface(pool.base)
    except ValueError as error:
        raise InvalidArgument(f"address pool {pool.base!r}: {error}") from None


def subnets(pool: AddressPool) -> Iterator[Subnet]:
    """The pool cut into subnets, beginning at the base's own address: 172.17.0.0/12 begins at 172.17."""
    base = _base(pool)
    bits = base.max_prefixlen
    if not base.network.prefixlen <= pool.size <= bits - 2:
        raise InvalidArgument(f"address pool {pool.base!r}: size {pool.size} is not a part of it")
    size = 1 << (bits - pool.size)
    first, last = int(base.ip) & -size, int(base.network.broadcast_address)
    kind = type(base.network)
    start = first
    while start < last:
        yield kind((start, pool.size))
        start += size


def choose(version: int, pools: Sequence[AddressPool], taken: Iterable[Subnet]) -> Subnet:
    """The first subnet of the pools that overlaps none taken (by networks, or by routes of the host)."""
    others = [subnet for subnet in taken if subnet.version == version]
    for pool in pools:
        if _base(pool).version != version:
            continue
        for subnet in subnets(pool):
            if not overlaps(subnet, others):
                return subnet
    raise ResourceExhausted(EXHAUSTED)


def overlaps(subnet: Subnet, others: Iterable[Subnet]) -> bool:
    """Whether a subnet has an address in common with one of the others, of whatever family."""
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    return any(
        other.version == subnet.version and int(other.network_address) <= last and first <= int(other.broadcast_address)
        for other in others
    )


def check_free(subnet: Subnet, networks: Iterable[Subnet]) -> None:
    """Refuses a subnet that overlaps another network's."""
    if overlaps(subnet, networks):
        raise PermissionDenied(OVERLAP)
