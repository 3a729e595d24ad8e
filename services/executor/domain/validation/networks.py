"""Networks a container is to be on, published ports, extra hosts."""

from __future__ import annotations

import ipaddress
import re

from shared.contracts.container import EndpointSettings, HostConfig
from shared.errors import InvalidArgument

from ..text import quote
from .modes import is_user_defined

_MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")


def check_networks(networks: dict[str, EndpointSettings]) -> None:
    """Raises `InvalidArgument` for endpoint settings that no network could honour."""
    for name, settings in networks.items():
        problems = _problems(name, settings)
        if problems:
            raise InvalidArgument(
                f"invalid config for network {name}: invalid endpoint settings:\n" + "\n".join(problems)
            )
        if settings.mac_address and not _MAC.match(settings.mac_address):
            raise InvalidArgument(f"invalid config for network {name}: invalid MAC address {settings.mac_address}")


def _problems(name: str, settings: EndpointSettings) -> list[str]:
    found: list[str] = []
    wish = settings.ipam_config
    if not is_user_defined(name):
        if wish and (wish.ipv4_address or wish.ipv6_address):
            found.append("user specified IP address is supported on user defined networks only")
        if settings.aliases:
            found.append("network-scoped alias is supported only for containers in user defined networks")
    if wish:
        found += [f"invalid IPv4 address: {wish.ipv4_address}"] * (not _is_address(wish.ipv4_address, 4))
        found += [f"invalid IPv6 address: {wish.ipv6_address}"] * (not _is_address(wish.ipv6_address, 6))
        found += [f"invalid link-local IP address: {ip}" for ip in wish.link_local_ips if not _is_address(ip)]
    return found


def _is_address(text: str, version: int = 0) -> bool:
    """Whether it is an address (of that version: then an empty one stands for no wish)."""
    if not text and version:
        return True
    try:
        return version in (0, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def check_ports(asked: HostConfig) -> None:
    """Container ports `80/tcp` and what they are bound to."""
    for port, bindings in asked.port_bindings.items():
        number, _, protocol = port.partition("/")
        if _port(number) is None:
            raise InvalidArgument(f"invalid port specification: {quote(number)}")
        if protocol.lower() not in ("", *_PROTOCOLS):
            raise InvalidArgument(f"invalid proto: {protocol}")
        for binding in bindings:
            wanted = binding.host_port.partition("/")[0]  # a protocol is ignored there, as in Docker
            if wanted and not _is_range(wanted):
                raise InvalidArgument(f"invalid port specification: {quote(binding.host_port)}")
            if binding.host_ip and not _is_address(binding.host_ip.strip("[]"), 0):
                raise InvalidArgument(f"invalid IP address in port binding: {binding.host_ip}")


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535 else None


def _is_range(text: str) -> bool:
    first, dash, last = text.partition("-")
    begin, end = _port(first), _port(last) if dash else _port(first)
    return begin is not None and end is not None and begin <= end


def check_exposed(ports: dict[str, dict[str, object]] | None) -> None:
    """Exposed ports `80`, `80/tcp`, `8000-8010/udp`."""
    for port in ports or ():
        numbers, _, protocol = port.partition("/")
        if not _is_range(numbers):
            raise InvalidArgument(f"invalid port specification: {quote(port)}")
        if protocol.lower() not in ("", *_PROTOCOLS):
            raise InvalidArgument(f"invalid proto: {protocol}")


def check_extra_hosts(hosts: tuple[str, ...]) -> None:
    """`--add-host` values: `name:address` or `name:host-gateway`."""
    for host in hosts:
        name, colon, address = host.partition(":")
        if not colon or not name:
            raise InvalidArgument(f"bad format for add-host: {quote(host)}")
        if address != "host-gateway" and not _is_host_address(address):
            raise InvalidArgument(f"invalid IP address in add-host: {quote(address)}")


def _is_host_address(text: str) -> bool:
    return bool(text) and _is_address(text.removeprefix("[").removesuffix("]"))
