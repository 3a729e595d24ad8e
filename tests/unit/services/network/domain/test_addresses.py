"""IPAM of one network."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.network.domain.addresses import (
    Address,
    AddressSpace,
    Pool,
    Subnet,
    mac_address,
    parse_address,
    parse_cidr,
)
from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted

A = ipaddress.ip_address
NET = ipaddress.IPv4Network("10.1.2.0/28")
NET6 = ipaddress.IPv6Network("fd00:1::/124")


def test_the_lowest_free_address_comes_first() -> None:
    pool = Pool(NET)
    assert [str(pool.request()) for _ in range(3)] == ["10.1.2.1", "10.1.2.2", "10.1.2.3"]
    pool.release(A("10.1.2.2"))
    assert pool.request() == A("10.1.2.2")
    assert pool.request() == A("10.1.2.4")


def test_a_wish_is_granted_once() -> None:
    pool = Pool(NET)
    assert pool.request(A("10.1.2.9")) == A("10.1.2.9")
    with pytest.raises(PermissionDenied, match="Address already in use"):
        pool.request(A("10.1.2.9"))


@pytest.mark.parametrize("wish", ["10.1.2.0", "10.1.2.15"])
def test_the_networks_own_addresses_are_in_use(wish: str) -> None:
    with pytest.raises(PermissionDenied):
        Pool(NET).request(A(wish))


def test_a_wish_from_elsewhere_is_refused_in_dockerds_words() -> None:
    text = "invalid address 10.9.9.9: It does not belong to any of this network's subnets"
    with pytest.raises(InvalidArgument, match=text):
        AddressSpace([Pool(NET)]).request(4, A("10.9.9.9"))
    with pytest.raises(InvalidArgument, match="requested address is out of range"):
        Pool(NET).request(A("10.9.9.9"))


def test_an_exhausted_pool_says_so() -> None:
    pool = Pool(ipaddress.IPv4Network("10.0.0.0/30"))
    assert [str(pool.request()), str(pool.request())] == ["10.0.0.1", "10.0.0.2"]
    with pytest.raises(ResourceExhausted, match="no available addresses on this pool"):
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


@given(st.ip_addresses(v=6))
def test_mac_addresses_of_ipv6_are_unicast_and_the_same_again(address: ipaddress.IPv6Address) -> None:
    assert mac_address(address).startswith("02:42:")
    assert mac_address(address) == mac_address(ipaddress.IPv6Address(str(address)))


def test_ipv6_has_no_broadcast_address_but_one_of_its_routers() -> None:
    pool = Pool(ipaddress.IPv6Network("fd00::/126"))
    assert [str(pool.request()) for _ in range(3)] == ["fd00::1", "fd00::2", "fd00::3"]
    with pytest.raises(ResourceExhausted):
        pool.request()


def test_a_subnet_as_large_as_ipv6_has_them_costs_nothing() -> None:
    pool = Pool(ipaddress.IPv6Network("fd00::/64"))
    assert pool.request(A("fd00::ffff:ffff:ffff:ffff")) == A("fd00::ffff:ffff:ffff:ffff")
    assert str(pool.request()) == "fd00::1"


def test_two_of_two_can_be_used_on_a_link_between_two() -> None:
    pool = Pool(ipaddress.IPv4Network("10.0.0.0/31"))
    assert [str(pool.request()), str(pool.request())] == ["10.0.0.0", "10.0.0.1"]


def test_a_network_gives_addresses_of_each_family_from_the_pools_in_turn() -> None:
    nets: list[Subnet] = [ipaddress.ip_network(text) for text in ("10.0.0.0/30", "10.0.1.0/30", "fd00::/64")]
    space = AddressSpace([Pool(net) for net in nets], "web", "n1")
    assert [str(space.request(4)) for _ in range(3)] == ["10.0.0.1/30", "10.0.0.2/30", "10.0.1.1/30"]
    assert str(space.request(6)) == "fd00::1/64"
    assert str(space.request(4, A("10.0.1.2"))) == "10.0.1.2/30"
    text = r"no available IPv4 addresses on this network's address pools: web \(n1\)"
    with pytest.raises(ResourceExhausted, match=text):
        space.request(4)
    space.release([A("10.0.0.2"), A("fd00::1"), A("192.0.2.1")])
    assert str(space.request(4)) == "10.0.0.2/30"
    assert (space.has(4), space.has(6), AddressSpace().has(4)) == (True, True, False)


def test_reserved_addresses_of_a_network_are_not_given_out() -> None:
    space = AddressSpace([Pool(NET), Pool(NET6)])
    space.reserve([A("10.1.2.1"), A("fd00:1::1")])
    assert (str(space.request(4)), str(space.request(6))) == ("10.1.2.2/28", "fd00:1::2/124")


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::1%x } ; drop", "10.0.0", "", "10.0.0.1\n"])
def test_nothing_but_an_address_is_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|address"):
        parse_address(text)


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/255.0.0.0", "10.0.0.0/33", "x/8", "/8", "::/٣"])
def test_nothing_but_digits_is_a_prefix_length(text: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|address|interface"):
        parse_cidr(text)
    assert str(parse_cidr("10.1.0.5/16").network) == "10.1.0.0/16"


def hosts(net: Subnet) -> list[Address]:
    return [ipaddress.ip_address(str(address)) for address in net.hosts()]


class PoolMachine(RuleBasedStateMachine):
    """Whatever the order of calls: never an address twice, always the lowest free one."""

    net: Subnet = NET

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(self.net)
        self.given: set[Address] = set()

    @property
    def free(self) -> list[Address]:
        return [address for address in hosts(self.net) if address not in self.given]

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
        wish = data.draw(st.sampled_from(hosts(self.net)))
        if wish in self.given:
            with pytest.raises(PermissionDenied):
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


class PoolMachine6(PoolMachine):
    """The same with IPv6."""

    net = NET6


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine6 = PoolMachine6.TestCase
