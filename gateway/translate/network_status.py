"""`Status` of a network (API 1.52): how many addresses of its pools are taken, and how many can still be given out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from shared.contracts.network import IPAMConfig, Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
_MOST = (1 << 64) - 1
_SMALLEST_WITH_BROADCAST = 30


def status(network: Network) -> dict[str, Any]:
    """By subnet; what nobody can be given (network, broadcast) counts as taken, as in dockerd."""
    endpoints = [text for record in network.endpoints for text in (record.ipv4_address, record.ipv6_address)]
    pools = [config for config in network.spec.ipam.config if config.subnet]
    return {"IPAM": {"Subnets": {config.subnet: _pool(config, endpoints) for config in pools}}}


def _pool(config: IPAMConfig, endpoints: Iterable[str]) -> dict[str, int]:
    subnet = ipaddress.ip_network(config.subnet, strict=False)
    texts = (*endpoints, config.gateway, *config.aux_addresses.values())
    given = {ipaddress.ip_interface(text).ip for text in texts if text}
    taken = {address for address in given if address in subnet} | _reserved(subnet)
    giving = ipaddress.ip_network(config.ip_range, strict=False) if config.ip_range else subnet
    free = giving.num_addresses - sum(1 for address in taken if address in giving)
    return {"IPsInUse": min(len(taken), _MOST), "DynamicIPsAvailable": min(free, _MOST)}


def _reserved(subnet: Subnet) -> set[Address]:
    """The network's own address, and of IPv4 its broadcast; a subnet of one or two addresses has neither."""
    if subnet.version == 6:
        return {subnet.network_address} if subnet.num_addresses > 2 else set()
    if subnet.prefixlen > _SMALLEST_WITH_BROADCAST:
        return set()
    return {subnet.network_address, subnet.broadcast_address}
