"""Options of network drivers (`--opt`): their names, and their values as Go's strconv reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.errors import InvalidArgument

from .addresses import Address, parse_address

BRIDGE_NAME = "com.docker.network.bridge.name"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"
GATEWAY_MODE = {4: "com.docker.network.bridge.gateway_mode_ipv4", 6: "com.docker.network.bridge.gateway_mode_ipv6"}
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
MTU = "com.docker.network.driver.mtu"
IFACE_PREFIX = "com.docker.network.container_iface_prefix"
HOST_ADDRESS = {4: "com.docker.network.host_ipv4", 6: "com.docker.network.host_ipv6"}
ENDPOINT_IFNAME = "com.docker.network.endpoint.ifname"
ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
PARENT = "parent"
ENCRYPTED = "encrypted"
"""By its presence, whatever its value, as in libnetwork."""

DEFAULT_MTU, LEAST_MTU = 1500, 68
GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")

Options = Mapping[str, str]


def is_of_bridge(key: str) -> bool:
    """Whether an option has a meaning for bridges alone."""
    return key.startswith("com.docker.network.bridge.") or key in HOST_ADDRESS.values()


def _refused(key: str, text: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"failed to parse {key} value: {text} ({why})")


def flag(options: Options, key: str, default: bool) -> bool:
    """A boolean as Go's ParseBool reads it."""
    text = options.get(key)
    if text is None:
        return default
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _refused(key, text, f'strconv.ParseBool: parsing "{text}": invalid syntax')


def mtu(options: Options) -> int:
    """Bytes in a packet on the network."""
    text = options.get(MTU, "0")
    if not _INTEGER.match(text):
        raise _refused(MTU, text, f'strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number and not LEAST_MTU <= number <= 65535:
        raise InvalidArgument(f"invalid MTU number: {number}")
    return number or DEFAULT_MTU


def address(options: Options, key: str) -> Address | None:
    """An address; None where the option is not given."""
    text = options.get(key, "")
    if key not in options:
        return None
    try:
        return parse_address(text)
    except ValueError:
        raise _refused(key, text, "nil ip") from None


def gateway_mode(options: Options, version: int) -> str:
    """How the host stands between such a network and others: one of `GATEWAY_MODES`."""
    key = GATEWAY_MODE[version]
    text = options.get(key, "nat")
    if text not in GATEWAY_MODES:
        raise _refused(key, text, f"unknown gateway mode {text}")
    return text


def interface(options: Options, key: str) -> str:
    """The name of an interface; empty where the option is not given. It becomes part of rules and paths."""
    text = options.get(key, "")
    if text and not is_interface(text):
        raise InvalidArgument(f"invalid value for {key}: {text!r} is not the name of an interface")
    return text


def interfaces(options: Options, key: str) -> tuple[str, ...]:
    """Names of interfaces, separated by colons."""
    names = tuple(name for name in options.get(key, "").split(":") if name)
    for name in names:
        interface({key: name}, key)
    return names


def is_interface(text: str) -> bool:
    """Whether Linux takes it as an interface's name, and nft and paths without quoting."""
    return _INTERFACE.match(text) is not None and text not in (".", "..")
