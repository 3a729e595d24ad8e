"""Pools that a client names, and those that a network gets."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import drivers, ipam, options, pools
from services.network.domain.addresses import Subnet
from services.network.domain.drivers import Driver
from shared.config import Settings
from shared.contracts.network import IPAM, IPAMConfig
from shared.errors import InvalidArgument, NotFound, PermissionDenied, ResourceExhausted

DEFAULTS = pools.with_ipv6(Settings().address_pools, "host")


def bridge() -> Driver:
    found = drivers.find("bridge")
    assert found is not None
    return found


def check(*configs: IPAMConfig, ipv4: bool = True, ipv6: bool = True, driver: str = "default") -> None:
    ipam.check(IPAM(driver=driver, config=configs), ipv4=ipv4, ipv6=ipv6)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (IPAMConfig(subnet="300.1.1.1/24"), "invalid subnet 300.1.1.1/24: invalid CIDR block notation"),
        (IPAMConfig(subnet=""), "invalid subnet : invalid CIDR block notation"),
        (IPAMConfig(subnet="fd00::%x/64"), "invalid subnet fd00::%x/64: invalid CIDR block notation"),
        (IPAMConfig(subnet="172.29.1.1/24"), "invalid subnet 172.29.1.1/24: it should be 172.29.1.0/24"),
        (IPAMConfig(subnet="fd00::1/64"), "invalid subnet fd00::1/64: it should be fd00::/64"),
        (IPAMConfig(subnet="10.0.0.0/8", ip_range="x"), "invalid ip-range x: invalid CIDR block notation"),
        (
            IPAMConfig(subnet="10.0.0.0/8", ip_range="fd00::/64"),
            "invalid ip-range fd00::/64: parent subnet is an IPv4 block",
        ),
        (
            IPAMConfig(subnet="10.1.0.0/16", ip_range="10.0.0.0/8"),
            "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.1.0.0/16",
        ),
        (
            IPAMConfig(subnet="10.0.0.0/8", ip_range="10.1.1.1/24"),
            "invalid ip-range 10.1.1.1/24: it should be 10.1.1.0/24",
        ),
        (
            IPAMConfig(subnet="10.0.0.0/16", ip_range="10.1.0.0/24"),
            "invalid ip-range 10.1.0.0/24: parent subnet 10.0.0.0/16 doesn't contain ip-range",
        ),
        (IPAMConfig(subnet="10.0.0.0/8", gateway="x"), "invalid gateway x: invalid address"),
        (IPAMConfig(subnet="10.0.0.0/8", gateway="fd00::1"), "invalid gateway fd00::1: parent subnet is an IPv4 block"),
        (
            IPAMConfig(subnet="10.0.0.0/8", gateway="11.0.0.1"),
            "invalid gateway 11.0.0.1: parent subnet 10.0.0.0/8 doesn't contain this address",
        ),
        (
            IPAMConfig(subnet="fd00::/64", aux_addresses={"r": "fd01::1"}),
            "invalid auxiliary address r: parent subnet fd00::/64 doesn't contain this address",
        ),
    ],
)
def test_refusals(config: IPAMConfig, problem: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(config)
    assert caught.value.message == f"invalid network config:\n{problem}"


def test_every_problem_is_told() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(IPAMConfig(subnet="10.0.0.1/8", gateway="x"), IPAMConfig(subnet="y"))
    assert caught.value.message == (
        "invalid network config:\n* invalid subnet 10.0.0.1/8: it should be 10.0.0.0/8\n"
        "* invalid gateway x: invalid address\n* invalid subnet y: invalid CIDR block notation"
    )


@pytest.mark.parametrize(
    ("subnet", "text"),
    [
        ("ff02::/64", "multicast subnet 'ff02::/64' is not allowed"),
        ("fe80::/80", "'fe80::/80' clashes with the Link-Local prefix 'fe80::/64'"),
        ("0.0.0.0/0", "ipv4 pool is empty"),
        ("::/0", "ipv6 pool is empty|clashes"),
    ],
)
def test_subnets_that_no_interface_can_be_on(subnet: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        check(IPAMConfig(subnet=subnet))


def test_drivers_of_ipam_and_what_is_off() -> None:
    check(IPAMConfig(subnet="fd00::1/64"), ipv6=False)
    with pytest.raises(NotFound, match='plugin "x" not found'):
        check(driver="x")
    with pytest.raises(InvalidArgument, match="ipv4 pool is empty"):
        check(driver="null")
    check(driver="null", ipv4=False, ipv6=False)


def allocate(*asked: IPAMConfig, versions: tuple[int, ...] = (4,), **more: object) -> tuple[IPAMConfig, ...]:
    fields: dict[str, object] = {"internal": False, "defaults": DEFAULTS, "networks": [], "routes": [], **more}
    return ipam.allocate(bridge(), more.pop("options", {}), asked, versions=versions, **fields)  # type: ignore[arg-type]


def test_a_network_gets_the_first_free_pool_of_each_version() -> None:
    found = allocate(versions=(4, 6), networks=[ipaddress.ip_network("172.17.0.0/16")])
    assert found[0] == IPAMConfig(subnet="172.18.0.0/16", gateway="172.18.0.1")
    six = ipaddress.ip_network(found[1].subnet)
    assert (six.prefixlen, str(six)[:2]) == (64, "fd")
    assert ipaddress.ip_address(found[1].gateway) == six.network_address + 1


def test_what_is_asked_for_is_given_with_a_gateway() -> None:
    asked = IPAMConfig(subnet="10.3.0.0/16", ip_range="10.3.5.0/24", aux_addresses={"r": "10.3.5.1"})
    assert allocate(asked)[0].gateway == "10.3.5.0"  # as dockerd: the first address of the range
    assert allocate(IPAMConfig(subnet="10.3.0.0/16", gateway="10.3.0.9"))[0].gateway == "10.3.0.9"
    with pytest.raises(PermissionDenied, match="Pool overlaps with other one on this address space"):
        allocate(asked, networks=[ipaddress.ip_network("10.3.9.0/24")])
    assert allocate(asked, routes=[ipaddress.ip_network("10.3.0.0/16")])[0].subnet == "10.3.0.0/16"


def test_two_pools_of_a_request_must_not_overlap() -> None:
    with pytest.raises(PermissionDenied, match="overlaps"):
        allocate(IPAMConfig(subnet="10.0.0.0/8"), IPAMConfig(subnet="10.1.0.0/16"))


def test_a_subnet_without_room_for_a_gateway() -> None:
    with pytest.raises(ResourceExhausted, match=r"failed to allocate gateway \(\): no available addresses"):
        allocate(IPAMConfig(subnet="10.4.0.0/32", aux_addresses={"x": "10.4.0.0"}))


@pytest.mark.parametrize("gateway", ["10.4.0.0", "10.4.0.255"])
def test_a_gateway_is_no_address_that_the_subnet_has_for_itself(gateway: str) -> None:
    with pytest.raises(PermissionDenied, match=rf"failed to allocate gateway \({gateway}\): Address already in use"):
        allocate(IPAMConfig(subnet="10.4.0.0/24", gateway=gateway))


def test_a_network_without_the_host_has_no_gateway() -> None:
    isolated = {options.GATEWAY_MODE[4]: "isolated"}
    [found] = ipam.allocate(
        bridge(), isolated, [], internal=True, versions=[4], defaults=DEFAULTS, networks=[], routes=[]
    )
    assert found.gateway == ""


@given(st.lists(st.sampled_from([4, 6]), max_size=12))
def test_whatever_networks_there_are_the_next_overlaps_none(versions: list[int]) -> None:
    taken: list[Subnet] = []
    for version in versions:
        [found] = allocate(versions=(version,), networks=taken)
        subnet = ipaddress.ip_network(found.subnet)
        assert subnet.version == version
        assert not pools.overlaps(subnet, taken)
        assert ipaddress.ip_address(found.gateway) in subnet
        taken.append(subnet)
