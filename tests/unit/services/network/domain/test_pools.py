"""Which subnet a network gets."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import pools
from shared.config import AddressPool, Settings
from shared.errors import InvalidArgument, ResourceExhausted

N = ipaddress.IPv4Network
DEFAULTS = Settings().address_pools


def test_the_first_subnets_are_dockers() -> None:
    taken: list[N] = []
    for _ in range(16):
        taken.append(pools.choose(DEFAULTS, taken))
    assert [str(net) for net in taken[:2]] == ["172.17.0.0/16", "172.18.0.0/16"]
    assert [str(net) for net in taken[14:]] == ["172.31.0.0/16", "192.168.0.0/20"]


@given(st.lists(st.sampled_from([net for pool in DEFAULTS for net in pools.subnets(pool)]), max_size=12))
def test_nothing_that_is_taken_is_chosen(taken: list[N]) -> None:
    chosen = pools.choose(DEFAULTS, taken)
    assert not any(chosen.overlaps(other) for other in taken)


def test_a_route_of_the_host_is_avoided() -> None:
    assert pools.choose(DEFAULTS, [N("172.17.200.0/24"), N("172.18.0.1/32")]) == N("172.19.0.0/16")


def test_exhausted_pools_say_so() -> None:
    with pytest.raises(ResourceExhausted, match="could not find an available, non-overlapping IPv4 address pool"):
        pools.choose(DEFAULTS, [N("0.0.0.0/0")])


@given(st.integers(8, 24), st.integers(0, 6))
def test_subnets_of_a_pool_follow_each_other(base: int, more: int) -> None:
    size = min(base + more, 30)
    pool = AddressPool(base=f"10.0.0.0/{base}", size=size)
    cut = list(itertools.islice(pools.subnets(pool), 100))
    assert all(a.broadcast_address + 1 == b.network_address for a, b in itertools.pairwise(cut))
    assert all(net.prefixlen == size and net.subnet_of(N(pool.base)) for net in cut)


@pytest.mark.parametrize("pool", [("172.17.0.0/12", 31), ("10.0.0.0/16", 8), ("nonsense", 16), ("10.0.0.0/8", 40)])
def test_impossible_pools_are_refused_by_name(pool: tuple[str, int]) -> None:
    with pytest.raises(InvalidArgument, match="address pool"):
        list(pools.subnets(AddressPool(base=pool[0], size=pool[1])))


def test_overlap_with_another_network_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Pool overlaps with other one on this address space"):
        pools.check_free(N("172.28.0.0/16"), [N("172.28.5.0/24")])
    pools.check_free(N("172.28.0.0/16"), [N("172.29.0.0/16")])
    assert N("172.28.0.0/16").prefixlen == 16
