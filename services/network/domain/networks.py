"""Networks: the predefined ones, and what a request to create one means."""

from __future__ import annotations

import msgspec

from shared.contracts.network import CreateRequest, NetworkSpec
from shared.errors import InvalidArgument, NotFound, PermissionDenied

from . import drivers, ipam, options
from .spanning import SCOPE

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}
"""Name to driver of the networks that always exist."""
NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)


def default_bridge_options(interface: str, mtu: int = options.DEFAULT_MTU) -> dict[str, str]:
    """Options that inspect shows of the network `bridge`."""
    return {
        options.DEFAULT_BRIDGE: "true",
        options.ICC: "true",
        options.MASQUERADE: "true",
        options.HOST_BINDING: "0.0.0.0",
        options.BRIDGE_NAME: interface,
        options.MTU: str(mtu),
    }


def with_driver(request: CreateRequest, default: str, clustered: bool) -> CreateRequest:
    """The request with the driver that is meant when it names none; `default` is the setting.

    Compose names none, so that a project spans the hosts of a cluster; the docker CLI itself says `bridge`.
    """
    if request.driver:
        return request
    if not default:
        of_host = request.config_only or request.config_from or request.scope == "local"
        local = of_host or any(map(options.is_of_bridge, request.options))
        default = "overlay" if clustered and not local else "bridge"
    return msgspec.structs.replace(request, driver=default)


def check_request(request: CreateRequest, spanning: str = "") -> CreateRequest:
    """Refuses what no network can be made of, in dockerd's words; the request with its defaults filled in.

    `spanning` is the driver asked for, where it is one of networks across hosts.
    """
    driver = request.driver
    if not request.name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if request.name in (*PREDEFINED, "default"):  # so modes call the bridge
        raise PermissionDenied(f"operation is not permitted on predefined {request.name} network ")
    if driver == "overlay" and not spanning:
        raise PermissionDenied(NO_SWARM)
    ipam.check(request.ipam, ipv4=request.enable_ipv4, ipv6=request.enable_ipv6)
    _check_configuration(request)
    if request.config_only:
        return msgspec.structs.replace(request, driver="null", scope="local")
    if spanning:
        _check_spanning(request)
        return msgspec.structs.replace(request, scope=SCOPE)
    _check_driver(driver)
    _check_scope(request)
    return msgspec.structs.replace(request, driver=driver, scope="local")


def _check_configuration(request: CreateRequest) -> None:
    """`--config-only` and `--config-from` (libnetwork's validateConfiguration)."""
    if request.config_only and (request.ingress or request.internal or request.attachable or request.scope):
        raise PermissionDenied(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )
    if not request.config_from:
        return
    if request.config_only:
        raise PermissionDenied("a configuration network cannot depend on another configuration network")
    own = request.ipam.driver not in ("", "default") or request.ipam.config or request.ipam.options
    if own or request.labels or request.enable_ipv6 or not request.enable_ipv4:
        raise PermissionDenied(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    if request.options:
        raise PermissionDenied(
            "network driver options are not supported if the network depends on a configuration network"
        )


def _check_driver(driver: str) -> None:
    if driver in ("host", "null"):
        raise PermissionDenied(f'only one instance of "{driver}" network is allowed')
    if drivers.find(driver) is None:
        raise NotFound(f'plugin "{driver}" not found')


def _check_spanning(request: CreateRequest) -> None:
    if request.ingress:
        raise PermissionDenied(NO_SWARM)
    if request.scope == "swarm":
        raise PermissionDenied("cannot create a swarm scoped network when swarm is not active")
    if request.scope not in ("", SCOPE):
        raise PermissionDenied(f"a network of the driver {request.driver} cannot have the scope {request.scope!r}")


def _check_scope(request: CreateRequest) -> None:
    if request.ingress:
        raise PermissionDenied("Ingress network can only be global scope network")
    if request.scope == "swarm":
        raise PermissionDenied("cannot create a swarm scoped network when swarm is not active")
    if request.scope not in ("", "local"):
        raise PermissionDenied(NO_SWARM if request.scope == "global" else f"invalid scope {request.scope!r}")


def configured(request: CreateRequest, configuration: NetworkSpec | None) -> CreateRequest:
    """The request with what its configuration network says."""
    if not request.config_from:
        return request
    if configuration is None or not configuration.config_only:
        raise NotFound(f'configuration network "{request.config_from}" does not exist')
    return msgspec.structs.replace(
        request,
        enable_ipv4=configuration.enable_ipv4,
        enable_ipv6=configuration.enable_ipv6,
        ipam=configuration.ipam,
        options=configuration.options,
        labels=configuration.labels,
    )


def attributes(spec: NetworkSpec) -> dict[str, str]:
    """What Docker's network events say of the network."""
    return {"name": spec.name, "type": spec.driver}
