"""The subnets of a stored network."""

from __future__ import annotations

import ipaddress

from shared.contracts.network import IPAMConfig, NetworkSpec

from .addresses import Address, AddressSpace, Interface, Pool, Subnet

DEFAULT_GATEWAY = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}
"""Auxiliary addresses that stand for another router of the network than its bridge."""


def subnets(spec: NetworkSpec) -> list[Subnet]:
    """All of them, IPv4 first."""
    return [ipaddress.ip_network(config.subnet) for config in spec.ipam.config if config.subnet]


def gateways(spec: NetworkSpec) -> list[Interface]:
    """The gateways' addresses, with prefix length."""
    return [
        ipaddress.ip_interface(f"{config.gateway}/{ipaddress.ip_network(config.subnet).prefixlen}")
        for config in spec.ipam.config
        if config.gateway
    ]


def next_hop(spec: NetworkSpec, address: Address) -> Address | None:
    """The router of an address's subnet."""
    config = next((each for each in spec.ipam.config if address in ipaddress.ip_network(each.subnet)), None)
    if config is None:
        return None
    router = config.aux_addresses.get(DEFAULT_GATEWAY[address.version], config.gateway)
    return ipaddress.ip_address(router) if router else None


def gateway(spec: NetworkSpec, version: int) -> Address | None:
    """The gateway of the first subnet of that IP version."""
    return next((each.ip for each in gateways(spec) if each.version == version), None)


def pool(config: IPAMConfig) -> Pool:
    """The addresses that endpoints may get: not those of the gateway and of others that were named."""
    made = Pool(ipaddress.ip_network(config.subnet), ipaddress.ip_network(config.ip_range) if config.ip_range else None)
    made.reserve(map(ipaddress.ip_address, config.aux_addresses.values()))
    if config.gateway:
        made.reserve([ipaddress.ip_address(config.gateway)])
    return made


def address_space(spec: NetworkSpec) -> AddressSpace:
    """What endpoints of the network get their addresses from."""
    return AddressSpace([pool(config) for config in spec.ipam.config if config.subnet], spec.name, spec.id)
