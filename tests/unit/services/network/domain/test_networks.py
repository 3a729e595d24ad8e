"""What a request to create a network means."""

from __future__ import annotations

import ipaddress

import pytest

from services.network.domain import networks
from shared.contracts.network import IPAM, CreateRequest, IPAMConfig, NetworkSpec
from shared.errors import InvalidArgument, NotFound, NotImplementedYet, PermissionDenied, ShoalError


def request(**fields: object) -> CreateRequest:
    return CreateRequest(**{"name": "web", **fields})  # type: ignore[arg-type]


def pool(**fields: object) -> CreateRequest:
    return request(ipam=IPAM(config=(IPAMConfig(**fields),)))  # type: ignore[arg-type]


def test_defaults_are_filled_in() -> None:
    checked = networks.check_request(request(driver=""))
    assert (checked.driver, checked.scope) == ("bridge", "local")


@pytest.mark.parametrize(
    ("wanted", "kind", "text"),
    [
        (request(name=""), InvalidArgument, "invalid name: "),
        (request(name=" \t"), InvalidArgument, "invalid name:  \t"),
        (request(name="bridge"), PermissionDenied, "operation is not permitted on predefined bridge network "),
        (request(driver="host"), PermissionDenied, 'only one instance of "host" network is allowed'),
        (request(driver="null"), PermissionDenied, 'only one instance of "null" network is allowed'),
        (request(driver="foo"), NotFound, 'plugin "foo" not found'),
        (request(driver="macvlan"), NotImplementedYet, "network driver 'macvlan' is not implemented yet"),
        (request(enable_ipv6=True), NotImplementedYet, "networks with enable_ipv6 are not implemented yet"),
        (request(config_only=True), NotImplementedYet, "networks with config_only are not implemented yet"),
        (request(scope="swarm"), NotImplementedYet, "network scope 'swarm' is not implemented: networks are local"),
        (request(ipam=IPAM(driver="x")), NotFound, "could not find ipam driver 'x'"),
        (
            pool(subnet="300.1.1.1/24"),
            InvalidArgument,
            "invalid subnet 300.1.1.1/24: invalid CIDR address: 300.1.1.1/24",
        ),
        (
            pool(subnet="172.29.1.1/24"),
            InvalidArgument,
            "invalid network config:\ninvalid subnet 172.29.1.1/24: it should be 172.29.1.0/24",
        ),
        (pool(gateway="10.0.0.1"), InvalidArgument, "no matching subnet for gateway 10.0.0.1"),
        (
            pool(subnet="172.30.0.0/16", gateway="10.0.0.1", ip_range="10.0.0.0/24"),
            InvalidArgument,
            "invalid network config:\n"
            "invalid ip-range 10.0.0.0/24: parent subnet 172.30.0.0/16 doesn't contain ip-range\n"
            "invalid gateway 10.0.0.1: parent subnet 172.30.0.0/16 doesn't contain this address",
        ),
        (pool(subnet="172.30.0.0/16", gateway="x"), InvalidArgument, "invalid gateway x: not an IPv4 address"),
        (pool(subnet="fd00::/64"), NotImplementedYet, "subnet fd00::/64: IPv6 networks are not implemented yet"),
        (
            pool(subnet="10.0.0.0/31"),
            InvalidArgument,
            "invalid network config:\ninvalid subnet 10.0.0.0/31: it has no room for a gateway and a container",
        ),
        (
            request(options={networks.ICC: "perhaps"}),
            InvalidArgument,
            f"invalid value for {networks.ICC}: 'perhaps' is not a boolean",
        ),
        (
            request(options={networks.MTU: "-1"}),
            InvalidArgument,
            f"invalid value for {networks.MTU}: '-1' is not an MTU",
        ),
        (
            request(options={networks.NAME_LABEL: 'a" }'}),
            InvalidArgument,
            f"invalid value for {networks.NAME_LABEL}: 'a\" }}' is not the name of an interface",
        ),
        (
            request(options={networks.NAME_LABEL: "../etc"}),
            InvalidArgument,
            f"invalid value for {networks.NAME_LABEL}: '../etc' is not the name of an interface",
        ),
        (
            request(options={networks.HOST_BINDING: "x"}),
            InvalidArgument,
            f"invalid value for {networks.HOST_BINDING}: 'x' is not an IPv4 address",
        ),
    ],
)
def test_refusals(wanted: CreateRequest, kind: type[ShoalError], text: str) -> None:
    with pytest.raises(kind) as caught:
        networks.check_request(wanted)
    assert caught.value.message == text


def test_overlay_needs_a_swarm() -> None:
    with pytest.raises(PermissionDenied, match="This node is not a swarm manager"):
        networks.check_request(request(driver="overlay"))


def test_a_full_pool_is_accepted() -> None:
    wanted = pool(
        subnet="172.28.0.0/16", ip_range="172.28.5.0/24", gateway="172.28.5.254", aux_addresses={"a": "172.28.1.5"}
    )
    assert networks.check_request(wanted).ipam == wanted.ipam


def test_what_the_firewall_learns() -> None:
    spec = NetworkSpec(
        id="n",
        name="web",
        created=0,
        internal=True,
        options={networks.ICC: "false", networks.MASQUERADE: "0"},
        ipam=IPAM(config=(IPAMConfig(subnet="10.5.0.0/24", gateway="10.5.0.1"),)),
    )
    rules = networks.rules(spec, "br0")
    assert (rules.interface, rules.masquerade, rules.icc, rules.internal) == ("br0", False, False, True)
    assert networks.subnet(spec) == ipaddress.IPv4Network("10.5.0.0/24")
    assert str(networks.gateway(spec)) == "10.5.0.1"
    assert networks.attributes(spec) == {"name": "web", "type": "bridge"}


def test_the_default_bridge_has_dockers_options() -> None:
    assert networks.default_bridge_options("docker0") == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1500",
    }


def test_an_mtu_of_zero_is_the_default() -> None:
    assert networks.mtu({networks.MTU: "0"}) == 1500
    assert networks.mtu({networks.MTU: "9000"}) == 9000
