"""IPAM of one pool."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.network.domain.addresses import Pool, mac_address
from shared.errors import Conflict, InvalidArgument, ResourceExhausted

A = ipaddress.IPv4Address
NET = ipaddress.IPv4Network("10.1.2.0/28")


def test_the_lowest_free_address_comes_first() -> None:
    pool = Pool(NET)
    assert [str(pool.request()) for _ in range(3)] == ["10.1.2.1", "10.1.2.2", "10.1.2.3"]
    pool.release(A("10.1.2.2"))
    assert pool.request() == A("10.1.2.2")
    assert pool.request() == A("10.1.2.4")


def test_a_wish_is_granted_once() -> None:
    pool = Pool(NET)
    assert pool.request(A("10.1.2.9")) == A("10.1.2.9")
    with pytest.raises(Conflict, match="Address already in use"):
        pool.request(A("10.1.2.9"))


@pytest.mark.parametrize("wish", ["10.1.2.0", "10.1.2.15"])
def test_the_networks_own_addresses_are_in_use(wish: str) -> None:
    with pytest.raises(Conflict):
        Pool(NET).request(A(wish))


def test_a_wish_from_elsewhere_is_refused_in_dockerds_words() -> None:
    text = "Invalid address 10.9.9.9: It does not belong to any of this network's subnets"
    with pytest.raises(InvalidArgument, match=text):
        Pool(NET).request(A("10.9.9.9"))


def test_an_exhausted_pool_says_so() -> None:
    pool = Pool(ipaddress.IPv4Network("10.0.0.0/30"))
    assert [str(pool.request()), str(pool.request())] == ["10.0.0.1", "10.0.0.2"]
    with pytest.raises(ResourceExhausted, match="no available IPv4 addresses"):
        pool.request()


def test_a_range_limits_only_what_nobody_asked_for() -> None:
    pool = Pool(ipaddress.IPv4Network("172.28.0.0/16"), ipaddress.IPv4Network("172.28.5.0/24"))
    assert pool.request() == A("172.28.5.0")  # as dockerd: the first of the range is an address like others
    assert pool.request(A("172.28.9.9")) == A("172.28.9.9")
    pool.release(A("172.28.9.9"))
    assert pool.request() == A("172.28.5.1")


def test_reserved_addresses_are_not_given_out() -> None:
    pool = Pool(NET)
    pool.reserve([A("10.1.2.1"), A("10.1.2.2")])
    assert pool.request() == A("10.1.2.3")
    assert A("10.1.2.1") in pool


def test_releasing_what_was_not_given_changes_nothing() -> None:
    pool = Pool(NET)
    pool.release(A("10.1.2.5"))
    pool.release(A("192.168.0.1"))
    assert pool.request() == A("10.1.2.1")


@given(st.ip_addresses(v=4))
def test_mac_addresses_are_dockers(address: ipaddress.IPv4Address) -> None:
    mac = mac_address(address)
    parts = [int(part, 16) for part in mac.split(":")]
    assert mac.startswith("02:42:")
    assert bytes(parts[2:]) == address.packed


def test_a_mac_address_of_docker() -> None:
    assert mac_address(A("172.31.77.2")) == "02:42:ac:1f:4d:02"


class PoolMachine(RuleBasedStateMachine):
    """Whatever the order of calls: never an address twice, always the lowest free one."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(NET)
        self.given: set[ipaddress.IPv4Address] = set()

    @property
    def free(self) -> list[ipaddress.IPv4Address]:
        return [address for address in NET.hosts() if address not in self.given]

    @precondition(lambda self: self.free)
    @rule()
    def request(self) -> None:
        lowest = self.free[0]
        assert self.pool.request() == lowest
        self.given.add(lowest)

    @precondition(lambda self: not self.free)
    @rule()
    def exhausted(self) -> None:
        with pytest.raises(ResourceExhausted):
            self.pool.request()

    @rule(data=st.data())
    def wish(self, data: st.DataObject) -> None:
        wish = data.draw(st.sampled_from(list(NET.hosts())))
        if wish in self.given:
            with pytest.raises(Conflict):
                self.pool.request(wish)
        else:
            assert self.pool.request(wish) == wish
            self.given.add(wish)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.given)))
        self.pool.release(address)
        self.given.discard(address)

    @invariant()
    def knows_what_is_given(self) -> None:
        assert all(address in self.pool for address in self.given)


TestPoolMachine = PoolMachine.TestCase
