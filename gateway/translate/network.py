"""Networks, to and from Docker's JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.clock import rfc3339
from shared.contracts.container import EndpointSettings
from shared.contracts.network import IPAM, CreateRequest, EndpointRecord, IPAMConfig, Network, NetworkSpec
from shared.errors import InvalidArgument

from ..http.version import Version
from .container_shapes import ENDPOINT
from .create import member
from .shape import Shape

IPAM_CONFIG = Shape(IPAMConfig, "IPAMConfig", omit="subnet ip_range gateway aux_addresses")
IPAM_SHAPE = Shape(IPAM, "IPAM", shapes={IPAMConfig: IPAM_CONFIG})
CREATE = Shape(
    CreateRequest,
    "NetworkCreateRequest",
    names={"enable_ipv4": "EnableIPv4", "enable_ipv6": "EnableIPv6", "ipam": "IPAM"},
    inward={"config_from": lambda value: member(value, "Network") or "" if isinstance(value, dict) else value},
    shapes={IPAM: IPAM_SHAPE},
)


_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def _endpoint(record: EndpointRecord) -> dict[str, str]:
    return {
        "Name": record.container_name,
        "EndpointID": record.id,
        "MacAddress": record.mac_address,
        "IPv4Address": record.ipv4_address,
        "IPv6Address": record.ipv6_address,
    }


def _pools(spec: NetworkSpec) -> list[IPAMConfig]:
    """As a client named them; of an IP version that it named none of, what was chosen."""
    shown = []
    for four in (True, False):
        asked = [config for config in spec.asked if (":" not in config.subnet) == four]
        chosen = [config for config in spec.ipam.config if (":" not in config.subnet) == four]
        shown += asked or chosen
    return shown


def show(network: Network, version: Version, containers: bool = True) -> dict[str, Any]:
    """One network. A list (since 1.28) names no containers."""
    spec = network.spec
    result: dict[str, Any] = {
        "Name": spec.name,
        "Id": spec.id,
        "Created": rfc3339(spec.created),
        "Scope": spec.scope,
        "Driver": spec.driver,
        "EnableIPv6": spec.enable_ipv6,
        "IPAM": IPAM_SHAPE.dump(msgspec.structs.replace(spec.ipam, config=tuple(_pools(spec)))),
        "Internal": spec.internal,
        "Attachable": spec.attachable,
        "Ingress": spec.ingress,
        "ConfigFrom": {"Network": spec.config_from},
        "ConfigOnly": spec.config_only,
        "Containers": {record.container_id: _endpoint(record) for record in network.endpoints} if containers else {},
        "Options": spec.options,
        "Labels": spec.labels,
    }
    if version >= (1, 48):
        result["EnableIPv4"] = spec.enable_ipv4
    return result


def create_request(data: dict[str, Any] | None, version: Version) -> CreateRequest:
    """The network service's request; raises `InvalidArgument`."""
    fields = {key: value for key, value in (data or {}).items() if value != ""}
    if version < (1, 48):
        fields = {key: value for key, value in fields.items() if key.lower() != "enableipv4"}
    _by_option(fields, "EnableIPv6", "com.docker.network.enable_ipv6")
    if version >= (1, 48):
        _by_option(fields, "EnableIPv4", "com.docker.network.enable_ipv4")
    if not member(fields, "Name"):
        raise InvalidArgument("network name is missing: the field Name must not be empty")
    return CREATE.load(fields)


def _by_option(fields: dict[str, Any], field: str, option: str) -> None:
    """A switch that may also be given as an option of the driver; the field counts more."""
    options = member(fields, "Options")
    text = options.get(option) if isinstance(options, dict) else None
    if text is None:
        return
    if member(fields, field) is None:
        if text not in _TRUE + _FALSE:
            raise InvalidArgument(f'driver-opt "{option}" is not a valid bool')
        fields[field] = text in _TRUE
    else:
        fields["Options"] = {key: value for key, value in options.items() if key != option}


def container_of(data: dict[str, Any] | None) -> str:
    """`Container` of a request to connect or disconnect."""
    name = member(data or {}, "Container")
    if not isinstance(name, str) or not name:
        raise InvalidArgument("invalid JSON: Container: a container's name or id is needed")
    return name


def endpoint_settings(data: dict[str, Any] | None) -> EndpointSettings:
    """`EndpointConfig` of a request to connect."""
    settings = member(data or {}, "EndpointConfig")
    return ENDPOINT.load({} if settings is None else settings)
