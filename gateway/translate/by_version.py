"""What a request to create a container means in the version it speaks.

Fields that a version does not know yet are ignored or refused, as dockerd does it; what only Windows or older
kernels have is refused or discarded with a warning. One rule after the other, in the order of the versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shared.contracts.container import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    MountRequest,
    PortBinding,
)
from shared.contracts.executor import CreateRequest
from shared.errors import InvalidArgument

from ..http.version import Version

replace = msgspec.structs.replace
Change = Callable[[MountRequest], MountRequest]
_MOUNT_OPTIONS = (
    ("volume_options", "volume", "VolumeOptions"),
    ("bind_options", "bind", "BindOptions"),
    ("tmpfs_options", "tmpfs", "TmpfsOptions"),
    ("image_options", "image", "ImageOptions"),
)
ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
_KERNEL_MEMORY = (
    "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded."
)
_VOLUME_DRIVER = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)
_MAC_ADDRESS = (
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
)


def adapt(asked: CreateRequest, version: Version) -> tuple[CreateRequest, list[str]]:
    """The request as this version means it, and warnings. Raises `InvalidArgument` in dockerd's words."""
    host = _host(asked.host_config, version)
    networks = _networks(asked.networks, version)
    _check_sysctls(host, version)
    warnings = [_VOLUME_DRIVER] if version >= (1, 48) and _has_idle_volume_driver(host) else []
    config, networks, told = _mac_address(_config(asked.config, version), host, networks, version)
    host, empty = _filled_bindings(host)
    if empty and version >= (1, 52):
        told.append(
            f"Following container port(s) have an empty list of port-bindings: {', '.join(empty)}. "
            "Such bindings will be discarded in a future version."
        )
    adapted = replace(
        asked,
        config=config,
        host_config=host,
        networks=networks,
        read_only_recursive=version >= (1, 44),
    )
    return adapted, warnings + told


def _config(config: ContainerConfig, version: Version) -> ContainerConfig:
    if version < (1, 44) and config.healthcheck is not None:
        return replace(config, healthcheck=replace(config.healthcheck, start_interval=0))
    return config


def _host(host: HostConfig, version: Version) -> HostConfig:
    changes: dict[str, Any] = {"mounts": tuple(_mount(mount, version) for mount in host.mounts)}
    if version < (1, 25):
        changes["auto_remove"] = False  # the client removes it
    if version < (1, 40) and not host.ipc_mode:
        changes["ipc_mode"] = "shareable"
    if version < (1, 42):
        changes["console_size"] = (0, 0)
    if version < (1, 43):
        changes["annotations"] = {}
    if host.pids_limit is not None and host.pids_limit <= 0:  # 0 is what the CLI says when nothing was said to it
        changes["pids_limit"] = 0 if host.pids_limit else None
    if host.memory_swappiness == -1:
        changes["memory_swappiness"] = None
    return replace(host, **changes)


def _mount(mount: MountRequest, version: Version) -> MountRequest:
    bind, volume = mount.bind_options, mount.volume_options
    if version < (1, 40) and bind is not None:
        bind = replace(bind, non_recursive=False)
    if version < (1, 42) and bind is not None:
        bind = replace(bind, create_mountpoint=False)
    mount = replace(mount, bind_options=bind)
    if version < (1, 42):
        mount = replace(mount, **{name: None for name, kind, _ in _MOUNT_OPTIONS if mount.type != kind})
    else:
        _check_options(mount)
    if version < (1, 44) and mount.type == "bind" and bind is not None and bind.read_only_force_recursive:
        raise InvalidArgument("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
    if version < (1, 45) and volume is not None and volume.subpath:
        raise InvalidArgument("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < (1, 48) and mount.type == "image":
        raise InvalidArgument('Mount type "Image" needs API v1.48 or newer')
    return mount


def _check_options(mount: MountRequest) -> None:
    for attribute, kind, label in _MOUNT_OPTIONS:
        if getattr(mount, attribute) is not None and mount.type != kind:
            raise InvalidArgument(f'{label} must not be specified on mount type "{mount.type}"')


def _networks(networks: dict[str, EndpointSettings], version: Version) -> dict[str, EndpointSettings]:
    if version < (1, 44) and len(networks) > 1:
        raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {', '.join(networks)}")
    if version < (1, 48):
        return {name: replace(settings, gw_priority=0) for name, settings in networks.items()}
    return networks


def _has_idle_volume_driver(host: HostConfig) -> bool:
    drivers = [
        mount.volume_options and mount.volume_options.driver_name for mount in host.mounts if mount.type == "volume"
    ]
    return bool(host.volume_driver) and not all(drivers)


def _mac_address(
    config: ContainerConfig, host: HostConfig, networks: dict[str, EndpointSettings], version: Version
) -> tuple[ContainerConfig, dict[str, EndpointSettings], list[str]]:
    """The container-wide address of older clients belongs to the main network's endpoint."""
    address, mode = config.mac_address, host.network_mode
    if not address:
        if version < (1, 44):
            networks = {name: replace(settings, mac_address="") for name, settings in networks.items()}
        return config, networks, []
    if version >= (1, 52):
        raise InvalidArgument(
            "container-wide MAC address no longer supported; use endpoint-specific MAC address instead"
        )
    connected = mode not in ("host", "none") and not mode.startswith("container:")
    if version < (1, 44):
        if not connected:
            raise InvalidArgument("conflicting options: mac-address and the network mode")
        return replace(config, mac_address=""), _with_address(networks, mode, address), []
    if connected:
        endpoint = networks.get(mode, EndpointSettings())
        if endpoint.mac_address not in ("", address):
            raise InvalidArgument(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
                "or be left empty"
            )
        networks = _with_address(networks, mode, address)
    return replace(config, mac_address=""), networks, [_MAC_ADDRESS]


def _with_address(networks: dict[str, EndpointSettings], name: str, address: str) -> dict[str, EndpointSettings]:
    return {**networks, name: replace(networks.get(name, EndpointSettings()), mac_address=address)}


def _check_sysctls(host: HostConfig, version: Version) -> None:
    """Since 1.48 a setting of one interface has to be given with its network."""
    if version < (1, 48) or host.network_mode in ("host", "none") or host.network_mode.startswith("container:"):
        return
    for name in host.sysctls:
        parts = name.split(".", 4)
        if len(parts) == 5 and parts[0] == "net" and parts[3].startswith("eth"):
            raise InvalidArgument(
                f'interface specific sysctl setting "{name}" must be supplied using driver option '
                f"'{ENDPOINT_SYSCTLS}'"
            )


def _filled_bindings(host: HostConfig) -> tuple[HostConfig, list[str]]:
    """A port with an empty list of bindings is published to a free port of all addresses."""
    empty = [port for port, bindings in host.port_bindings.items() if not bindings]
    filled = {port: bindings or (PortBinding(),) for port, bindings in host.port_bindings.items()}
    return replace(host, port_bindings=filled) if empty else host, empty


def discarded(host: Mapping[str, Any], version: Version) -> list[str]:
    """Warnings for what only Windows or the kernels of old can do; `host` as sent. Raises `InvalidArgument`."""
    given = {name.lower(): value for name, value in host.items() if value}
    for name, text in (("iomaximumbandwidth", "bandwidth"), ("iomaximumiops", "IOPs")):
        if name in given:
            raise InvalidArgument(f"invalid option: QoS maximum {text} configuration is not supported on linux")
    warnings = []
    if "cpupercent" in given:
        warnings.append("linux does not support CPU percent. Percent discarded.")
    if "cpucount" in given:
        warnings.append("linux does not support CPU count. Count discarded.")
    if ("kernelmemory" in given and version < (1, 42)) or ("kernelmemorytcp" in given and (1, 40) <= version < (1, 52)):
        warnings.append(_KERNEL_MEMORY)
    if "capabilities" in given and version == (1, 40):
        raise InvalidArgument(
            "the HostConfig.Capabilities field is not supported by this daemon; "
            "use CapAdd and CapDrop to set capabilities"
        )
    return warnings
