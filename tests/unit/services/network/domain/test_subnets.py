"""The subnets of a stored network."""

from __future__ import annotations

import ipaddress

from services.network.domain import subnets
from shared.contracts.network import IPAM, IPAMConfig, NetworkSpec

A = ipaddress.ip_address
SPEC = NetworkSpec(
    id="n1",
    name="web",
    created=0,
    ipam=IPAM(
        config=(
            IPAMConfig(subnet="10.5.0.0/24", gateway="10.5.0.1", aux_addresses={"printer": "10.5.0.2"}),
            IPAMConfig(subnet="10.6.0.0/24", gateway="10.6.0.1", ip_range="10.6.0.128/25"),
            IPAMConfig(subnet="fd00::/64", gateway="fd00::1", aux_addresses={"DefaultGatewayIPv6": "fd00::9"}),
        )
    ),
)


def test_subnets_and_gateways() -> None:
    assert [str(subnet) for subnet in subnets.subnets(SPEC)] == ["10.5.0.0/24", "10.6.0.0/24", "fd00::/64"]
    assert [str(each) for each in subnets.gateways(SPEC)] == ["10.5.0.1/24", "10.6.0.1/24", "fd00::1/64"]
    assert (subnets.gateway(SPEC, 4), subnets.gateway(SPEC, 6)) == (A("10.5.0.1"), A("fd00::1"))


def test_the_router_is_that_of_the_addresss_subnet() -> None:
    assert subnets.next_hop(SPEC, A("10.6.0.7")) == A("10.6.0.1")
    assert subnets.next_hop(SPEC, A("fd00::7")) == A("fd00::9")
    assert subnets.next_hop(SPEC, A("192.0.2.1")) is None


def test_what_is_named_is_not_given_out() -> None:
    space = subnets.address_space(SPEC)
    assert [str(space.request(4)), str(space.request(6))] == ["10.5.0.3/24", "fd00::2/64"]
    assert str(subnets.pool(SPEC.ipam.config[1]).request()) == "10.6.0.128"


def test_a_network_without_subnets() -> None:
    bare = NetworkSpec(id="n2", name="l2", created=0)
    assert (subnets.subnets(bare), subnets.gateways(bare), subnets.gateway(bare, 4)) == ([], [], None)
    assert not subnets.address_space(bare).has(4)
