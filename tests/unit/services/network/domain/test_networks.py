"""What a request to create a network means."""

from __future__ import annotations

import pytest

from services.network.domain import networks
from shared.contracts.network import IPAM, CreateRequest, IPAMConfig, NetworkSpec
from shared.errors import InvalidArgument, NotFound, PermissionDenied, ShoalError


def request(**fields: object) -> CreateRequest:
    return CreateRequest(**{"name": "web", "driver": "bridge", **fields})  # type: ignore[arg-type]


def test_defaults_are_filled_in() -> None:
    assert networks.check_request(request()).scope == "local"


@pytest.mark.parametrize(
    ("fields", "setting", "clustered", "driver"),
    [
        ({}, "", False, "bridge"),
        ({}, "", True, "overlay"),
        ({"internal": True, "options": {"com.docker.network.driver.mtu": "1400"}}, "", True, "overlay"),
        ({}, "macvlan", True, "macvlan"),
        ({"driver": "bridge"}, "overlay", True, "bridge"),
        ({"scope": "local"}, "", True, "bridge"),
        ({"config_only": True}, "", True, "bridge"),
        ({"config_from": "cfg"}, "", True, "bridge"),
        ({"options": {"com.docker.network.bridge.name": "br0"}}, "", True, "bridge"),
        ({"options": {"com.docker.network.host_ipv4": "1.2.3.4"}}, "", True, "bridge"),
    ],
)
def test_who_names_no_driver(fields: dict[str, object], setting: str, clustered: bool, driver: str) -> None:
    assert networks.with_driver(request(**{"driver": "", **fields}), setting, clustered).driver == driver


@pytest.mark.parametrize(
    ("wanted", "kind", "text"),
    [
        (request(name=""), InvalidArgument, "invalid name: name is empty"),
        (request(name=" \t"), InvalidArgument, "invalid name: name is empty"),
        (request(name="bridge"), PermissionDenied, "operation is not permitted on predefined bridge network "),
        (request(name="default"), PermissionDenied, "operation is not permitted on predefined default network "),
        (request(driver="host"), PermissionDenied, 'only one instance of "host" network is allowed'),
        (request(driver="null"), PermissionDenied, 'only one instance of "null" network is allowed'),
        (request(driver="foo"), NotFound, 'plugin "foo" not found'),
        (request(ingress=True), PermissionDenied, "Ingress network can only be global scope network"),
        (request(scope="swarm"), PermissionDenied, "cannot create a swarm scoped network when swarm is not active"),
        (request(scope="x"), PermissionDenied, "invalid scope 'x'"),
        (request(ipam=IPAM(driver="x")), NotFound, 'plugin "x" not found'),
        (
            request(ipam=IPAM(config=(IPAMConfig(subnet="x"),))),
            InvalidArgument,
            "invalid network config:\ninvalid subnet x: invalid CIDR block notation",
        ),
        (
            request(config_only=True, internal=True),
            PermissionDenied,
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported.",
        ),
        (
            request(config_only=True, config_from="x"),
            PermissionDenied,
            "a configuration network cannot depend on another configuration network",
        ),
        (
            request(config_from="x", labels={"a": "b"}),
            PermissionDenied,
            "user specified configurations are not supported if the network depends on a configuration network",
        ),
        (
            request(config_from="x", options={"a": "b"}),
            PermissionDenied,
            "network driver options are not supported if the network depends on a configuration network",
        ),
    ],
)
def test_refusals(wanted: CreateRequest, kind: type[ShoalError], text: str) -> None:
    with pytest.raises(kind) as caught:
        networks.check_request(wanted)
    assert caught.value.message == text


@pytest.mark.parametrize("fields", [{"driver": "overlay"}, {"scope": "global"}])
def test_what_needs_a_swarm(fields: dict[str, str]) -> None:
    with pytest.raises(PermissionDenied, match="This node is not a swarm manager"):
        networks.check_request(request(**fields))


def test_a_full_pool_is_accepted() -> None:
    wanted = request(
        ipam=IPAM(
            config=(
                IPAMConfig(
                    subnet="172.28.0.0/16",
                    ip_range="172.28.5.0/24",
                    gateway="172.28.5.254",
                    aux_addresses={"a": "172.28.1.5"},
                ),
            )
        )
    )
    assert networks.check_request(wanted).ipam == wanted.ipam


def test_a_configuration_has_no_driver_of_its_own() -> None:
    checked = networks.check_request(request(config_only=True, driver="macvlan"))
    assert (checked.driver, checked.scope) == ("null", "local")


def test_a_network_is_as_its_configuration_says() -> None:
    pools = IPAM(config=(IPAMConfig(subnet="10.9.0.0/16"),))
    known = NetworkSpec(
        id="c",
        name="cfg",
        created=0,
        config_only=True,
        enable_ipv6=True,
        ipam=pools,
        options={"a": "b"},
        labels={"l": "1"},
    )
    made = networks.configured(request(config_from="cfg", internal=True), known)
    assert (made.ipam, made.options, made.labels, made.enable_ipv6, made.internal) == (
        pools, {"a": "b"}, {"l": "1"}, True, True,
    )  # fmt: skip
    assert networks.configured(request(), None) == request()
    for configuration in (None, NetworkSpec(id="x", name="cfg", created=0)):
        with pytest.raises(NotFound, match='configuration network "cfg" does not exist'):
            networks.configured(request(config_from="cfg"), configuration)


def test_events_name_the_network() -> None:
    spec = NetworkSpec(id="n", name="web", created=0)
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
