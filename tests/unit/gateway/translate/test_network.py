from __future__ import annotations

from typing import Any

import pytest

from gateway.http.version import Version
from gateway.translate import network as shown
from shared.contracts.container import EndpointIPAMConfig, EndpointSettings
from shared.contracts.network import IPAM, CreateRequest, EndpointRecord, IPAMConfig, Network, NetworkSpec
from shared.errors import InvalidArgument

V41, V51 = Version(1, 41), Version(1, 51)
POOL = IPAM(config=(IPAMConfig(subnet="10.0.0.0/24", gateway="10.0.0.1"),))
WEB = EndpointRecord(
    id="e", network_id="n", container_id="c", container_name="web", node="x", ipv4_address="10.0.0.2/24"
)
NETWORK = Network(spec=NetworkSpec(id="n", name="un", created=1_000_000_000, ipam=POOL), endpoints=(WEB,))


def test_a_network_with_who_is_on_it() -> None:
    data = shown.show(NETWORK, V51)
    assert (data["Name"], data["Created"], data["EnableIPv4"]) == ("un", "1970-01-01T00:00:01Z", True)
    assert data["IPAM"] == {
        "Driver": "default",
        "Options": None,
        "Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}],
    }
    assert data["Containers"] == {
        "c": {"Name": "web", "EndpointID": "e", "MacAddress": "", "IPv4Address": "10.0.0.2/24", "IPv6Address": ""}
    }
    assert "EnableIPv4" not in shown.show(NETWORK, V41)
    assert shown.show(NETWORK, V51, containers=False)["Containers"] == {}


def test_a_request() -> None:
    data = {
        "Name": "n",
        "Driver": "",
        "EnableIPv6": True,
        "EnableIPv4": False,
        "ConfigFrom": {"Network": "c"},
        "IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "AuxiliaryAddresses": {"a": "10.0.0.9"}}], "Driver": "default"},
        "Options": None,
        "CheckDuplicate": True,
    }
    made = shown.create_request(data, V51)
    assert (made.name, made.driver, made.enable_ipv6, made.enable_ipv4, made.config_from) == (
        "n", "", True, False, "c"
    )  # fmt: skip
    assert made.ipam.config == (IPAMConfig(subnet="10.0.0.0/24", aux_addresses={"a": "10.0.0.9"}),)
    assert shown.create_request(data, V41).enable_ipv4 is True
    assert shown.create_request({"Name": "n"}, V51) == CreateRequest(name="n")


@pytest.mark.parametrize(
    "data", [None, {}, {"Name": ""}, {"Name": 5}, {"Name": "x", "IPAM": []}, {"Name": "x", "Labels": 1}]
)
def test_wrong_requests(data: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidArgument):
        shown.create_request(data, V51)


def test_who_is_to_be_connected_and_how() -> None:
    data = {"Container": "web", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.0.0.5"}, "Aliases": ["a"]}}
    assert shown.container_of(data) == "web"
    assert shown.endpoint_settings(data) == EndpointSettings(
        ipam_config=EndpointIPAMConfig(ipv4_address="10.0.0.5"), aliases=("a",)
    )
    assert shown.endpoint_settings({}) == EndpointSettings()
    for wrong in (None, {}, {"Container": ""}, {"Container": 5}):
        with pytest.raises(InvalidArgument, match="Container"):
            shown.container_of(wrong)


def test_pools_are_shown_as_they_were_named() -> None:
    chosen = IPAM(
        config=(
            IPAMConfig(subnet="172.18.0.0/16", gateway="172.18.0.1"),
            IPAMConfig(subnet="fd00::/64", gateway="fd00::1"),
        )
    )
    asked = (IPAMConfig(subnet="fd00::/64"),)
    spec = NetworkSpec(id="n", name="un", created=1, ipam=chosen, asked=asked, enable_ipv6=True)
    assert shown.show(Network(spec=spec), V51)["IPAM"]["Config"] == [
        {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"},
        {"Subnet": "fd00::/64"},
    ]


def test_families_can_be_switched_by_options() -> None:
    data = {"Name": "n", "Options": {"com.docker.network.enable_ipv6": "true", "a": "b"}}
    assert shown.create_request(data, V51).enable_ipv6
    both = shown.create_request({**data, "EnableIPv6": False}, V51)
    assert (both.enable_ipv6, both.options) == (False, {"a": "b"})
    with pytest.raises(InvalidArgument, match=r'driver-opt "com.docker.network.enable_ipv6" is not a valid bool'):
        shown.create_request({"Name": "n", "Options": {"com.docker.network.enable_ipv6": "x"}}, V51)
