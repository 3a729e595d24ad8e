from __future__ import annotations

import pytest

from gateway.translate.network_status import status
from shared.contracts.network import IPAM, EndpointRecord, IPAMConfig, Network, NetworkSpec


def network(config: IPAMConfig, *addresses: str) -> Network:
    records = tuple(
        EndpointRecord(
            id=text,
            network_id="n",
            container_id="c",
            container_name="c",
            node="",
            ipv4_address="" if ":" in text else text,
            ipv6_address=text if ":" in text else "",
        )
        for text in addresses
    )
    return Network(spec=NetworkSpec(id="n", name="n", created=1, ipam=IPAM(config=(config,))), endpoints=records)


@pytest.mark.parametrize(
    ("config", "addresses", "used", "free"),
    [
        (IPAMConfig(subnet="10.0.0.0/24", gateway="10.0.0.1"), (), 3, 253),
        (IPAMConfig(subnet="10.0.0.0/24", gateway="10.0.0.1"), ("10.0.0.2/24", "10.0.0.3/24"), 5, 251),
        (IPAMConfig(subnet="10.0.0.0/24", gateway="10.0.0.1", ip_range="10.0.0.128/25"), ("10.0.0.129/24",), 4, 126),
        (IPAMConfig(subnet="10.0.0.0/24", aux_addresses={"a": "10.0.0.9"}), (), 3, 253),
        (IPAMConfig(subnet="10.0.0.0/31", gateway="10.0.0.0"), (), 1, 1),
        (IPAMConfig(subnet="fd00::/64", gateway="fd00::1"), ("fd00::2/64", "10.0.0.2/24"), 3, (1 << 64) - 3),
        (IPAMConfig(subnet="fd00::/48"), (), 1, (1 << 64) - 1),
    ],
)
def test_addresses_of_a_pool(config: IPAMConfig, addresses: tuple[str, ...], used: int, free: int) -> None:
    subnets = status(network(config, *addresses))["IPAM"]["Subnets"]
    assert subnets == {config.subnet: {"IPsInUse": used, "DynamicIPsAvailable": free}}


def test_a_network_without_pools() -> None:
    assert status(network(IPAMConfig())) == {"IPAM": {"Subnets": {}}}
