"""Which subnet a network gets."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import pools
from services.network.domain.addresses import Subnet
from shared.config import AddressPool, Settings
from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted

N = ipaddress.IPv4Network
DEFAULTS = Settings().address_pools


def test_the_first_subnets_are_dockers() -> None:
    taken: list[Subnet] = []
    for _ in range(16):
        taken.append(pools.choose(4, DEFAULTS, taken))
    assert [str(net) for net in taken[:2]] == ["172.17.0.0/16", "172.18.0.0/16"]
    assert [str(net) for net in taken[14:]] == ["172.31.0.0/16", "192.168.0.0/20"]


@given(st.lists(st.sampled_from([net for pool in DEFAULTS for net in pools.subnets(pool)]), max_size=12))
def test_nothing_that_is_taken_is_chosen(taken: list[Subnet]) -> None:
    chosen = pools.choose(4, DEFAULTS, taken)
    assert not pools.overlaps(chosen, taken)


def test_a_route_of_the_host_is_avoided() -> None:
    assert pools.choose(4, DEFAULTS, [N("172.17.200.0/24"), N("172.18.0.1/32")]) == N("172.19.0.0/16")


def test_exhausted_pools_say_so() -> None:
    with pytest.raises(ResourceExhausted, match="all predefined address pools have been fully subnetted"):
        pools.choose(4, DEFAULTS, [N("0.0.0.0/0")])


@given(st.integers(8, 24), st.integers(0, 6))
def test_subnets_of_a_pool_follow_each_other(base: int, more: int) -> None:
    size = min(base + more, 30)
    pool = AddressPool(base=f"10.0.0.0/{base}", size=size)
    cut = list(itertools.islice(pools.subnets(pool), 100))
    assert all(int(a.broadcast_address) + 1 == int(b.network_address) for a, b in itertools.pairwise(cut))
    assert all(net.prefixlen == size and pools.overlaps(net, [N(pool.base)]) for net in cut)


@pytest.mark.parametrize("pool", [("172.17.0.0/12", 31), ("10.0.0.0/16", 8), ("nonsense", 16), ("10.0.0.0/8", 40)])
def test_impossible_pools_are_refused_by_name(pool: tuple[str, int]) -> None:
    with pytest.raises(InvalidArgument, match="address pool"):
        list(pools.subnets(AddressPool(base=pool[0], size=pool[1])))


def test_overlap_with_another_network_is_refused() -> None:
    with pytest.raises(
        PermissionDenied, match="invalid pool request: Pool overlaps with other one on this address space"
    ):
        pools.check_free(N("172.28.0.0/16"), [N("172.28.5.0/24")])
    pools.check_free(N("172.28.0.0/16"), [N("172.29.0.0/16")])
    assert N("172.28.0.0/16").prefixlen == 16


@pytest.mark.parametrize(
    ("host", "base"),
    [("", "fd42:98fc:1c14::/48"), ("499d4bc0-b0b3-416f-b1ee-cf6486315593", "fd62:fb69:18af::/48")],
)
def test_a_host_has_a_unique_local_pool_as_moby_makes_it(host: str, base: str) -> None:
    assert pools.unique_local(host) == AddressPool(base=base, size=64)


def test_a_pool_of_ipv6_that_was_set_is_the_only_one() -> None:
    own = (AddressPool(base="fd00:1::/56", size=64),)
    assert pools.with_ipv6(own, "host") == own
    both = pools.with_ipv6(DEFAULTS, "host")
    assert both[:-1] == DEFAULTS
    first = pools.choose(6, both, [])
    second = pools.choose(6, both, [first, N("172.17.0.0/16")])
    assert int(second.network_address) - int(first.network_address) == 1 << 64


def test_subnets_of_both_families_do_not_meet() -> None:
    assert not pools.overlaps(N("0.0.0.0/0"), [ipaddress.IPv6Network("::/0")])
    assert pools.overlaps(ipaddress.IPv6Network("fd00::/64"), [ipaddress.IPv6Network("fd00::/8")])
