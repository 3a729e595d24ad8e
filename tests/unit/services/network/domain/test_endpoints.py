"""Places on networks: wishes, names of interfaces, addresses, who has the default routes."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import endpoints, options, subnets
from services.network.domain.endpoints import Attachment, Wished
from shared.contracts.container import EndpointIPAMConfig, EndpointSettings
from shared.contracts.network import IPAM, IPAMConfig, NetworkSpec
from shared.errors import InvalidArgument, PermissionDenied, ResourceExhausted

A = ipaddress.ip_address
CONTAINER = "c" * 64
FOUR = IPAMConfig(subnet="10.5.0.0/24", gateway="10.5.0.1")
SIX = IPAMConfig(subnet="fd00::/64", gateway="fd00::1")


def network(name: str = "web", *configs: IPAMConfig, **more: object) -> NetworkSpec:
    config = configs or (FOUR, SIX)
    fields = {"id": f"id-{name}", "name": name, "created": 0, "ipam": IPAM(config=config), "asked": config, **more}
    return NetworkSpec(**fields)  # type: ignore[arg-type]


def wish(**fields: object) -> EndpointSettings:
    ipam = {key: fields.pop(key) for key in ("ipv4_address", "ipv6_address", "link_local_ips") if key in fields}
    config = EndpointIPAMConfig(**ipam) if ipam else None  # type: ignore[arg-type]
    return EndpointSettings(ipam_config=config, **fields)  # type: ignore[arg-type]


BASE = Attachment(network_id="id-web", network_name="web", endpoint_id="e1")


def attach(spec: NetworkSpec, settings: EndpointSettings = EndpointSettings(), *taken: Attachment) -> Attachment:  # noqa: B008
    return endpoints.attach(BASE, spec, settings, subnets.address_space(spec), taken)


def test_an_endpoint_gets_an_address_of_each_family_and_one_mac() -> None:
    entry = attach(network())
    assert (entry.interface, entry.address, entry.address6) == ("eth0", "10.5.0.2/24", "fd00::2/64")
    assert (entry.mac, entry.mtu, entry.slot) == ("02:42:0a:05:00:02", 1500, 0)
    assert entry.ips == (A("10.5.0.2"), A("fd00::2"))
    assert (entry.ip(4), entry.ip(6)) == entry.ips
    second = attach(network("b"), wish(), entry)
    assert (second.interface, second.slot) == ("eth1", 1)


def test_a_network_of_ipv6_only() -> None:
    entry = attach(network("six", SIX))
    assert (entry.address, entry.address6, entry.ip(4)) == ("", "fd00::2/64", None)
    assert entry.mac.startswith("02:42:")


def test_host_and_none_give_no_interface() -> None:
    assert attach(network("host", driver="host")) == BASE


def test_wishes_of_the_user() -> None:
    entry = attach(network(), wish(ipv4_address="10.5.0.9", ipv6_address="fd00::9", mac_address="02-00-00-00-00-01"))
    assert (entry.address, entry.address6, entry.mac) == ("10.5.0.9/24", "fd00::9/64", "02:00:00:00:00:01")


def test_nothing_is_taken_when_one_of_both_cannot_be_had() -> None:
    spec = network("web", IPAMConfig(subnet="10.5.0.0/24", gateway="10.5.0.1"), IPAMConfig(subnet="fd00::/127"))
    space = subnets.address_space(spec)
    space.request(6)
    with pytest.raises(ResourceExhausted, match="no available IPv6 addresses"):
        endpoints.attach(BASE, spec, wish(), space, ())
    assert str(space.request(4).ip) == "10.5.0.2"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (wish(ipv4_address="x"), "invalid IPv4 address: x"),
        (wish(ipv4_address="fd00::9"), "invalid IPv4 address: fd00::9"),
        (wish(ipv4_address="0.0.0.0"), "invalid IPv4 address: 0.0.0.0"),
        (wish(ipv6_address="10.5.0.9"), "invalid IPv6 address: 10.5.0.9"),
        (wish(ipv6_address="fe80::1%eth0"), "invalid IPv6 address: fe80::1%eth0"),
        (wish(link_local_ips=("x",)), "invalid link-local IP address: x"),
        (wish(ipv4_address="10.9.0.9"), "no configured subnet or ip-range contain the IP address 10.9.0.9"),
        (
            wish(driver_opts={options.ENDPOINT_SYSCTLS: "net.ipv4.conf.eth0.x=1"}),
            "unrecognised network interface sysctl 'net.ipv4.conf.eth0.x=1'",
        ),
        (
            wish(driver_opts={options.ENDPOINT_SYSCTLS: "net.ipv4...IFNAME.x=1"}),
            "unrecognised network interface sysctl",
        ),
        (
            wish(driver_opts={options.ENDPOINT_SYSCTLS: "net.ipv4.conf.IFNAME.x"}),
            "unrecognised network interface sysctl",
        ),
    ],
)
def test_wishes_that_cannot_be(settings: EndpointSettings, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        endpoints.check_wish(network(), settings)
    assert caught.value.message.startswith("invalid endpoint settings:\n")
    assert text in caught.value.message


def test_only_what_the_user_chose_the_subnet_of_has_addresses_of_his_choice() -> None:
    text = "user specified IP address is supported only when connecting to networks with user configured subnets"
    with pytest.raises(InvalidArgument, match=text):
        endpoints.check_wish(network(asked=()), wish(ipv4_address="10.5.0.9"))
    with pytest.raises(InvalidArgument, match="user specified IP address is supported on user defined networks only"):
        endpoints.check_wish(network("bridge"), wish(ipv4_address="10.5.0.9"))
    assert endpoints.check_wish(network(), wish(ipv6_address="fd00::9")) == Wished(None, A("fd00::9"))
    assert endpoints.check_wish(network(), EndpointSettings()) == Wished()


@pytest.mark.parametrize("text", ["", "02:42", "02:42:00:00:00:zz", "03:42:00:00:00:01", "02:42:00:00:00:01:02"])
def test_bad_mac_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid MAC address"):
        endpoints.check_mac(text)


def test_interfaces_can_be_named() -> None:
    assert endpoints.interface_name(network(options={options.IFACE_PREFIX: "lan"}), wish(), ["eth0"]) == "lan0"
    named = wish(driver_opts={options.ENDPOINT_IFNAME: "uplink"})
    assert endpoints.interface_name(network(), named, ["eth0"]) == "uplink"
    for taken in (["uplink"], []):
        asked = named if taken else wish(driver_opts={options.ENDPOINT_IFNAME: "lo"})
        with pytest.raises(InvalidArgument, match="is taken by another endpoint"):
            endpoints.interface_name(network(), asked, taken)
    with pytest.raises(InvalidArgument, match="is not the name of an interface"):
        endpoints.interface_name(network(), wish(driver_opts={options.ENDPOINT_IFNAME: "../x"}), [])


def test_what_is_set_up() -> None:
    spec = network(options={options.ICC: "false", options.MTU: "1400"})
    settings = wish(
        link_local_ips=("169.254.9.9",), driver_opts={options.ENDPOINT_SYSCTLS: "net.ipv6.conf.IFNAME.forwarding=1"}
    )
    plan = endpoints.plan(attach(spec), spec, settings, "shl", [4])
    assert [str(each) for each in plan.addresses] == ["10.5.0.2/24", "fd00::2/64", "169.254.9.9/16"]
    assert (plan.gateways, plan.ipv6, plan.mtu) == ((A("10.5.0.1"),), True, 1400)
    assert plan.sysctls == (("ipv6/conf/eth0/forwarding", "1"),)
    assert (plan.wire.kind, plan.wire.isolated) == ("veth", True)
    assert endpoints.plan(attach(spec), spec, wish(), "shl", []).gateways == ()


def test_ipvlan_in_layer_three_routes_by_the_interface_and_has_its_parents_mac() -> None:
    spec = network(driver="ipvlan", options={"parent": "eth0", "ipvlan_mode": "l3"})
    entry = attach(spec)
    assert entry.mac == ""
    plan = endpoints.plan(entry, spec, wish(), "shl", [4, 6])
    assert (plan.gateways, plan.link_routes, plan.wire.mode) == ((), (4, 6), "l3")
    with pytest.raises(PermissionDenied, match="do not support custom mac"):
        attach(spec, wish(mac_address="02:00:00:00:00:01"))


NETWORKS = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(-1, 1), st.booleans(), st.sampled_from(["4", "6", "46"]))
)


@given(NETWORKS)
def test_the_gateways_are_libnetworks(wanted: dict[str, tuple[int, bool, str]]) -> None:
    specs, wishes, entries = {}, {}, []
    for name, (priority, internal, families) in wanted.items():
        configs = [FOUR] * ("4" in families) + [SIX] * ("6" in families)
        specs[name] = network(name, *configs, id=name, internal=internal)
        wishes[name] = EndpointSettings(gw_priority=priority)
        entry = attach(specs[name])
        entries.append(msgspec.structs.replace(entry, network_id=name, endpoint_id=f"end-{name}"))
    usable = sorted((-p, -len(f), name) for name, (p, internal, f) in wanted.items() if not internal)
    both = [name for _, size, name in usable if size == -2]
    four, six = ([name for _, _, name in usable if v in wanted[name][2]] for v in "46")
    expected = (both[:1] * 2) if both else [(four or [""])[0], (six or [""])[0]]
    assert endpoints.gateways_of(entries, specs, wishes) == tuple(f"end-{name}" if name else "" for name in expected)


def test_inspect_shows_what_an_endpoint_got() -> None:
    asked = EndpointSettings(aliases=("api",), driver_opts={"a": "b"})
    names = endpoints.dns_names(CONTAINER, "shop", asked, "shop")
    shown = endpoints.settings(network(), attach(network()), asked, names)
    assert shown == msgspec.structs.replace(
        asked,
        network_id="id-web",
        endpoint_id="e1",
        mac_address="02:42:0a:05:00:02",
        gateway="10.5.0.1",
        ip_address="10.5.0.2",
        ip_prefix_len=24,
        ipv6_gateway="fd00::1",
        global_ipv6_address="fd00::2",
        global_ipv6_prefix_len=64,
        dns_names=("shop", "api", "cccccccccccc"),
    )


def test_an_internal_network_has_no_gateway_and_the_default_bridge_no_names() -> None:
    internal = network(internal=True)
    shown = endpoints.settings(internal, attach(internal), EndpointSettings(), ("x",))
    assert (shown.gateway, shown.ipv6_gateway) == ("", "")
    bridge = network("bridge")
    assert endpoints.settings(bridge, attach(bridge), EndpointSettings(), ("x",)).dns_names is None
    host = network("host", driver="host")
    assert endpoints.settings(host, attach(host), EndpointSettings(), ()).network_id == "id-host"


def test_host_and_none_are_alone() -> None:
    endpoints.check_pair(network("host", driver="host"), 0, "host")
    for driver in ("host", "null"):
        with pytest.raises(InvalidArgument, match="cannot be connected"):
            endpoints.check_pair(network("x", driver=driver), 1, driver)
