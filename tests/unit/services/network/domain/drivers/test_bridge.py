"""The bridge driver."""

from __future__ import annotations

import ipaddress

import pytest

from services.network.domain import drivers, options
from services.network.domain.drivers import Bridge, HostLink, Wire
from services.network.domain.drivers.bridge import check_ipv6_subnet
from shared.contracts.network import IPAM, IPAMConfig, NetworkSpec
from shared.errors import InvalidArgument, PermissionDenied

DRIVER = Bridge()
IPAM_BOTH = IPAM(
    config=(
        IPAMConfig(subnet="10.5.0.0/24", gateway="10.5.0.1"),
        IPAMConfig(subnet="fd00::/64", gateway="fd00::1"),
    )
)


def network(**fields: object) -> NetworkSpec:
    base = {"id": "n" * 64, "name": "web", "created": 0, "ipam": IPAM_BOTH, "enable_ipv6": True}
    return NetworkSpec(**{**base, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "opts",
    [
        {options.ICC: "x"},
        {options.MASQUERADE: "x"},
        {options.INHIBIT_IPV4: "x"},
        {options.MTU: "x"},
        {options.HOST_BINDING: "x"},
        {options.HOST_ADDRESS[6]: "x"},
        {options.GATEWAY_MODE[4]: "x"},
        {options.GATEWAY_MODE[6]: "x"},
    ],
)
def test_values_that_no_option_has(opts: dict[str, str]) -> None:
    [key] = opts
    with pytest.raises(InvalidArgument, match=f"failed to parse {key} value: x"):
        DRIVER.check(opts, False)


@pytest.mark.parametrize(
    ("opts", "text"),
    [
        ({options.BRIDGE_NAME: "../etc"}, "is not the name of an interface"),
        ({options.TRUSTED: 'eth0:a"b'}, "is not the name of an interface"),
        ({options.IFACE_PREFIX: "thirteenchars"}, "has more than 12 characters"),
        ({options.GATEWAY_MODE[4]: "isolated"}, "gateway mode 'isolated' can only be used for an internal network"),
    ],
)
def test_options_that_cannot_be(opts: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        DRIVER.check(opts, False)


def test_one_subnet_of_each_family() -> None:
    DRIVER.check_subnets((4, 6), ipv4=True, ipv6=True)
    with pytest.raises(PermissionDenied, match="bridge driver doesn't support multiple subnets"):
        DRIVER.check_subnets((4, 4), ipv4=True, ipv6=False)
    with pytest.raises(InvalidArgument, match="IPv4 or IPv6 must be enabled"):
        DRIVER.check_subnets((), ipv4=False, ipv6=False)


def test_the_host_has_a_bridge_with_the_gateways() -> None:
    link = DRIVER.link(network(), "shl", ())
    gateways = (ipaddress.ip_interface("10.5.0.1/24"), ipaddress.ip_interface("fd00::1/64"))
    assert link == HostLink("shl-nnnnnnnnnn", "bridge", gateways, True, 1500, mark="shl:" + "n" * 64)
    named = network(options={options.BRIDGE_NAME: "br9", options.INHIBIT_IPV4: "1", options.MTU: "9000"})
    link = DRIVER.link(named, "shl", ())
    assert (link.name, [str(each) for each in link.addresses], link.mtu) == ("br9", ["fd00::1/64"], 9000)
    assert not DRIVER.link(network(options={options.GATEWAY_MODE[6]: "isolated"}, internal=True), "shl", ()).ipv6


def test_who_has_a_gateway() -> None:
    DRIVER.check({"unknown": "z", options.GATEWAY_MODE[6]: "isolated"}, True)
    assert DRIVER.has_gateway({}, True, 4)
    assert not DRIVER.has_gateway({options.GATEWAY_MODE[6]: "isolated"}, True, 6)
    inhibited = {options.INHIBIT_IPV4: "true"}
    assert DRIVER.has_gateway(inhibited, False, 4)
    assert not DRIVER.has_gateway(inhibited, True, 4)
    assert DRIVER.has_gateway(inhibited, True, 6)


def test_endpoints_are_ports_of_the_bridge() -> None:
    assert DRIVER.wire(network(), "shl") == Wire("veth", "shl-nnnnnnnnnn")
    assert DRIVER.wire(network(options={options.ICC: "false"}), "shl").isolated


def test_what_the_firewall_learns() -> None:
    opts = {options.ICC: "false", options.MASQUERADE: "0", options.TRUSTED: "eth1", options.GATEWAY_MODE[6]: "routed"}
    rules = DRIVER.rules(network(internal=True, options={**opts, options.HOST_ADDRESS[4]: "192.0.2.1"}), "shl")
    assert (rules.interface, rules.masquerade, rules.icc, rules.internal) == ("shl-nnnnnnnnnn", False, False, True)
    assert [(str(each.subnet), each.mode, str(each.source)) for each in rules.families] == [
        ("10.5.0.0/24", "nat", "192.0.2.1"),
        ("fd00::/64", "routed", "None"),
    ]
    assert rules.trusted == ("eth1",)


def test_a_bridge_is_of_one_network() -> None:
    named = network(options={options.BRIDGE_NAME: "br9"})
    assert "networks have same bridge name" in drivers.of(named).conflict(named, network(id="other"))


@pytest.mark.parametrize(
    ("subnet", "text"), [("ff02::/64", "multicast"), ("fe80::/80", "clashes"), ("fe80::/10", "clashes")]
)
def test_ipv6_subnets_that_no_bridge_can_have(subnet: str, text: str) -> None:
    check_ipv6_subnet(ipaddress.IPv6Network("fe80::/64"))
    with pytest.raises(InvalidArgument, match=text):
        check_ipv6_subnet(ipaddress.IPv6Network(subnet))
