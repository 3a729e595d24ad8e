from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.validation.networks import (
    check_exposed,
    check_extra_hosts,
    check_networks,
    check_ports,
)
from shared.contracts.container import EndpointIPAMConfig, EndpointSettings, HostConfig, PortBinding
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        (
            "bridge",
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="172.17.0.9")),
            "user specified IP address is supported on user defined networks only",
        ),
        (
            "bridge",
            EndpointSettings(aliases=("db",)),
            "network-scoped alias is supported only for containers in user defined networks",
        ),
        (
            "web",
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="300.1.1.1")),
            "invalid IPv4 address: 300.1.1.1",
        ),
        (
            "web",
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv6_address="1.1.1.1")),
            "invalid IPv6 address: 1.1.1.1",
        ),
        (
            "web",
            EndpointSettings(ipam_config=EndpointIPAMConfig(link_local_ips=("x",))),
            "invalid link-local IP address: x",
        ),
    ],
)
def test_refused_endpoints(name: str, settings: EndpointSettings, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_networks({name: settings})
    assert caught.value.message == f"invalid config for network {name}: invalid endpoint settings:\n{text}"


def test_mac_addresses() -> None:
    check_networks({"web": EndpointSettings(mac_address="02:42:ac:11:00:02", aliases=("db",))})
    with pytest.raises(InvalidArgument, match="invalid MAC address 02:42"):
        check_networks({"web": EndpointSettings(mac_address="02:42")})


@pytest.mark.parametrize(
    ("port", "binding", "text"),
    [
        ("http/tcp", PortBinding(), 'invalid port specification: "http"'),
        ("70000/tcp", PortBinding(), 'invalid port specification: "70000"'),
        ("80/fish", PortBinding(), "invalid proto: fish"),
        ("80/tcp", PortBinding(host_port="x"), 'invalid port specification: "x"'),
        ("80/tcp", PortBinding(host_port="9-8"), 'invalid port specification: "9-8"'),
        ("80/tcp", PortBinding(host_ip="x"), "invalid IP address in port binding: x"),
    ],
)
def test_refused_ports(port: str, binding: PortBinding, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_ports(HostConfig(port_bindings={port: (binding,)}))
    assert caught.value.message == text


def test_usable_ports() -> None:
    bindings = (PortBinding(host_ip="::1", host_port="8000-8010"), PortBinding(), PortBinding(host_ip="127.0.0.1"))
    of_protocols = (PortBinding(host_port="8080/udp"), PortBinding(host_port="/tcp"))
    check_ports(HostConfig(port_bindings={"80/tcp": of_protocols}))
    check_ports(HostConfig(port_bindings={"80/tcp": bindings, "53/udp": (), "22": ()}))
    check_exposed({"80": {}, "8000-8010/udp": {}, "22/tcp": {}})
    check_exposed(None)


@pytest.mark.parametrize("port", ["x", "1-x", "9-8", "80/fish", ""])
def test_refused_exposed_ports(port: str) -> None:
    with pytest.raises(InvalidArgument):
        check_exposed({port: {}})


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("web", 'bad format for add-host: "web"'),
        (":1.1.1.1", 'bad format for add-host: ":1.1.1.1"'),
        ("web:x", 'invalid IP address in add-host: "x"'),
        ("web:", 'invalid IP address in add-host: ""'),
    ],
)
def test_refused_extra_hosts(host: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_extra_hosts((host,))
    assert caught.value.message == text


def test_usable_extra_hosts() -> None:
    check_extra_hosts(("web:10.0.0.1", "six:::1", "me:host-gateway", "seven:[::1]"))


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_taken_or_refused(port: str, address: str, host: str) -> None:
    checks: list[Callable[[], None]] = [
        lambda: check_ports(HostConfig(port_bindings={port: (PortBinding(host_ip=address, host_port=host),)})),
        lambda: check_exposed({port: {}}),
        lambda: check_extra_hosts((f"{host}:{address}",)),
    ]
    for check in checks:
        assert refused(check) in (True, False)


def refused(check: Callable[[], None]) -> bool:
    try:
        check()
    except InvalidArgument:
        return True
    return False
