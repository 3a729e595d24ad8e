"""Networks: the predefined ones, and what a request to create one means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import msgspec

from shared.contracts.network import IPAM, CreateRequest, IPAMConfig, NetworkSpec
from shared.errors import InvalidArgument, NotFound, NotImplementedYet, PermissionDenied

from .ruleset import BridgeRules

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}
"""Name to driver of the networks that always exist."""

NAME_LABEL = "com.docker.network.bridge.name"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
DEFAULT_MTU = 1500
_LATER = ("macvlan", "ipvlan", "overlay")
_SINGLE = ("host", "null")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}\Z")


def default_bridge_options(interface: str, mtu: int = DEFAULT_MTU) -> dict[str, str]:
    """Options that inspect shows of the network `bridge`."""
    return {
        DEFAULT_BRIDGE: "true",
        ICC: "true",
        MASQUERADE: "true",
        HOST_BINDING: "0.0.0.0",
        NAME_LABEL: interface,
        MTU: str(mtu),
    }


def check_request(request: CreateRequest) -> CreateRequest:
    """Refuses what no network can be made of, in dockerd's words; the request with its defaults filled in."""
    driver = request.driver or "bridge"
    if not request.name.strip():
        raise InvalidArgument(f"invalid name: {request.name}")
    if request.name in PREDEFINED:
        raise PermissionDenied(f"operation is not permitted on predefined {request.name} network ")
    _check_driver(driver)
    if request.scope not in ("", "local"):
        raise NotImplementedYet(f"network scope {request.scope!r} is not implemented: networks are local")
    for field in ("ingress", "config_only", "enable_ipv6"):
        if getattr(request, field):
            raise NotImplementedYet(f"networks with {field} are not implemented yet")
    if request.config_from:
        raise NotImplementedYet("networks with config_from are not implemented yet")
    if not request.enable_ipv4:
        raise NotImplementedYet("networks without IPv4 are not implemented yet")
    if request.ipam.driver not in ("", "default"):
        raise NotFound(f"could not find ipam driver {request.ipam.driver!r}")
    _check_options(request.options)
    _check_ipam(request.ipam)
    return msgspec.structs.replace(request, driver=driver, scope="local")


def _check_driver(driver: str) -> None:
    if driver in _SINGLE:
        raise PermissionDenied(f'only one instance of "{driver}" network is allowed')
    if driver == "overlay":
        raise PermissionDenied(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
            "to connect this node to swarm and try again."
        )
    if driver in _LATER:
        raise NotImplementedYet(f"network driver {driver!r} is not implemented yet")
    if driver != "bridge":
        raise NotFound(f'plugin "{driver}" not found')


def _check_options(options: Mapping[str, str]) -> None:
    for key in (ICC, MASQUERADE):
        flag(options, key, True)
    mtu(options)
    host_binding(options)
    name = options.get(NAME_LABEL, "")
    if name and not _INTERFACE.match(name):
        raise InvalidArgument(f"invalid value for {NAME_LABEL}: {name!r} is not the name of an interface")


def flag(options: Mapping[str, str], key: str, default: bool) -> bool:
    """A boolean as Go's ParseBool reads it."""
    text = options.get(key)
    if text is None:
        return default
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidArgument(f"invalid value for {key}: {text!r} is not a boolean")


def mtu(options: Mapping[str, str]) -> int:
    """Bytes in a packet on the network."""
    text = options.get(MTU, str(DEFAULT_MTU))
    if not (text.isascii() and text.isdigit() and (int(text) == 0 or 68 <= int(text) <= 65535)):
        raise InvalidArgument(f"invalid value for {MTU}: {text!r} is not an MTU")
    return int(text) or DEFAULT_MTU


def host_binding(options: Mapping[str, str]) -> ipaddress.IPv4Address:
    """Where ports are published when the client names no address."""
    text = options.get(HOST_BINDING, "0.0.0.0")
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise InvalidArgument(f"invalid value for {HOST_BINDING}: {text!r} is not an IPv4 address") from None


def _check_ipam(ipam: IPAM) -> None:
    if len(ipam.config) > 1:
        raise NotImplementedYet("networks with more than one subnet are not implemented yet")
    for config in ipam.config:
        _check_pool(config)


def _check_pool(config: IPAMConfig) -> None:
    """Every error of one pool in one message, as dockerd does."""
    if not config.subnet:
        if config.ip_range:
            raise InvalidArgument(f"invalid ip-range {config.ip_range}: it needs a subnet")
        if config.gateway:
            raise InvalidArgument(f"no matching subnet for gateway {config.gateway}")
        return
    subnet = _network(config.subnet, "subnet")
    errors = []
    if config.ip_range:
        inner = _network(config.ip_range, "ip-range")
        if not inner.subnet_of(subnet):
            errors.append(f"invalid ip-range {inner}: parent subnet {subnet} doesn't contain ip-range")
    for what, text in (
        ("gateway", config.gateway),
        *((f"auxiliary address {name}:", text) for name, text in config.aux_addresses.items()),
    ):
        if text and _address(text, what) not in subnet:
            errors.append(f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address")
    if subnet.prefixlen > 30:
        errors.append(f"invalid subnet {subnet}: it has no room for a gateway and a container")
    if errors:
        raise InvalidArgument("invalid network config:\n" + "\n".join(errors))


def _network(text: str, what: str) -> ipaddress.IPv4Network:
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise InvalidArgument(f"invalid {what} {text}: invalid CIDR address: {text}") from None
    if isinstance(interface, ipaddress.IPv6Interface):
        raise NotImplementedYet(f"{what} {text}: IPv6 networks are not implemented yet")
    if interface.ip != interface.network.network_address:
        raise InvalidArgument(f"invalid network config:\ninvalid {what} {text}: it should be {interface.network}")
    return interface.network


def _address(text: str, what: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise InvalidArgument(f"invalid {what} {text}: not an IPv4 address") from None


def subnet(spec: NetworkSpec) -> ipaddress.IPv4Network:
    """Of a stored bridge network."""
    return ipaddress.IPv4Network(spec.ipam.config[0].subnet)


def gateway(spec: NetworkSpec) -> ipaddress.IPv4Address:
    """The bridge's own address, of a stored bridge network."""
    return ipaddress.IPv4Address(spec.ipam.config[0].gateway)


def rules(spec: NetworkSpec, interface: str) -> BridgeRules:
    """What the firewall must know of a stored bridge network."""
    return BridgeRules(
        interface,
        subnet(spec),
        masquerade=flag(spec.options, MASQUERADE, True),
        icc=flag(spec.options, ICC, True),
        internal=spec.internal,
    )


def attributes(spec: NetworkSpec) -> dict[str, str]:
    """What Docker's network events say of the network."""
    return {"name": spec.name, "type": spec.driver}
