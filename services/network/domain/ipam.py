"""IPAM: the pools that a client names, and those that a network gets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import msgspec

from shared.config import AddressPool
from shared.contracts.network import IPAM, IPAMConfig
from shared.errors import InvalidArgument, NotFound, ShoalError

from . import pools, subnets
from .addresses import Subnet, parse_address, parse_cidr
from .drivers import Driver
from .drivers.bridge import check_ipv6_subnet
from .options import Options


def check(ipam: IPAM, *, ipv4: bool, ipv6: bool) -> None:
    """Every problem in one message (moby: `ValidateIPAM`); pools of an IP version that is off are not looked at."""
    if ipam.driver not in ("", "default", "null"):
        raise NotFound(f'plugin "{ipam.driver}" not found')
    problems: list[str] = []
    for config in ipam.config:
        problems += _problems(config, ipv6=ipv6)
    if len(problems) == 1:
        raise InvalidArgument(f"invalid network config:\n{problems[0]}")
    if problems:
        raise InvalidArgument("invalid network config:\n" + "\n".join(f"* {problem}" for problem in problems))
    if ipam.driver == "null" and (ipv4 or ipv6):
        raise InvalidArgument("ipv4 pool is empty" if ipv4 else "ipv6 pool is empty")
    for subnet in _enabled(ipam.config, ipv4=ipv4, ipv6=ipv6):
        if isinstance(subnet, ipaddress.IPv6Network):
            check_ipv6_subnet(subnet)
        if not subnet.prefixlen:
            raise InvalidArgument(f"ipv{subnet.version} pool is empty")


def _problems(config: IPAMConfig, *, ipv6: bool) -> list[str]:
    try:
        interface = parse_cidr(config.subnet)
    except ValueError:
        return [f"invalid subnet {config.subnet}: invalid CIDR block notation"]
    subnet, found = interface.network, []
    if subnet.version == 6 and not ipv6:
        return []
    if interface.ip != subnet.network_address:
        found.append(f"invalid subnet {interface}: it should be {subnet}")
    found += _range_problems(config.ip_range, subnet) if config.ip_range else []
    if problem := _address_problem(config.gateway, subnet):
        found.append(f"invalid gateway {config.gateway}: {problem}")
    for name, address in config.aux_addresses.items():
        if problem := _address_problem(address, subnet):
            found.append(f"invalid auxiliary address {name}: {problem}")
    return found


def _range_problems(text: str, subnet: Subnet) -> list[str]:
    try:
        interface = parse_cidr(text)
    except ValueError:
        return [f"invalid ip-range {text}: invalid CIDR block notation"]
    inner = interface.network
    if inner.version != subnet.version:
        return [f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block"]
    found = []
    if inner.prefixlen < subnet.prefixlen:
        found.append(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}")
    if interface.ip != inner.network_address:
        found.append(f"invalid ip-range {interface}: it should be {inner}")
    if not pools.overlaps(inner, [subnet]):
        found.append(f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range")
    return found


def _address_problem(text: str, subnet: Subnet) -> str:
    if not text:
        return ""
    try:
        address = parse_address(text)
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return f"parent subnet is an IPv{subnet.version} block"
    return "" if address in subnet else f"parent subnet {subnet} doesn't contain this address"


def _enabled(configs: Iterable[IPAMConfig], *, ipv4: bool, ipv6: bool) -> list[Subnet]:
    found = [ipaddress.ip_network(config.subnet, strict=False) for config in configs]
    return [subnet for subnet in found if (ipv4 if subnet.version == 4 else ipv6)]


def allocate(
    driver: Driver,
    options: Options,
    asked: Sequence[IPAMConfig],
    *,
    internal: bool,
    versions: Sequence[int],
    defaults: Sequence[AddressPool],
    networks: Sequence[Subnet],
    routes: Sequence[Subnet],
) -> tuple[IPAMConfig, ...]:
    """The pools that a network gets: those asked for, or the first of the defaults that is free, with gateways.

    A pool that was asked for must not overlap another network's; a chosen one not a route of the host either.
    """
    found: list[IPAMConfig] = []
    for version in versions:
        own = [config for config in asked if parse_cidr(config.subnet).version == version]
        taken = [*networks, *(ipaddress.ip_network(config.subnet) for config in found)]
        if not own:
            own = [IPAMConfig(subnet=str(pools.choose(version, defaults, [*taken, *routes])))]
        for config in own:
            subnet = ipaddress.ip_network(config.subnet)
            pools.check_free(subnet, taken)
            taken.append(subnet)
            wanted = driver.has_gateway(options, internal, version)
            found.append(_with_gateway(config) if wanted or config.gateway else config)
    return tuple(found)


def _with_gateway(config: IPAMConfig) -> IPAMConfig:
    try:
        if config.gateway:
            unused = msgspec.structs.replace(config, gateway="", aux_addresses={})
            subnets.pool(unused).request(ipaddress.ip_address(config.gateway))
            return config
        return msgspec.structs.replace(config, gateway=str(subnets.pool(config).request()))
    except ShoalError as error:
        raise type(error)(f"failed to allocate gateway ({config.gateway}): {error.message}") from None
