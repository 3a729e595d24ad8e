"""A request to create a container, from Docker's JSON."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig, EndpointSettings, HostConfig, MountRequest
from shared.contracts.executor import CreateRequest, ExecCreateRequest
from shared.errors import InvalidArgument

from ..http.version import Version
from .container_shapes import CONFIG, ENDPOINT, HOST_CONFIG
from .shape import Shape

_MOUNT_OPTIONS = (
    ("volume_options", "volume", "VolumeOptions"),
    ("bind_options", "bind", "BindOptions"),
    ("tmpfs_options", "tmpfs", "TmpfsOptions"),
)
_PLATFORM_PART = re.compile(r"[A-Za-z0-9_.-]+\Z")
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
}
_SYSTEMS = frozenset(("linux", "windows", "darwin", "freebsd", "solaris", "illumos", "wasi"))


def member(data: dict[str, Any], name: str) -> Any:
    """A member of Docker's object, whatever the case of its name."""
    if name in data:
        return data[name]
    lower = name.lower()
    return next((value for key, value in data.items() if key.lower() == lower), None)


def create_request(data: dict[str, Any] | None, name: str, platform: str, version: Version) -> CreateRequest:
    """The executor's request; raises `InvalidArgument` in Docker's words."""
    if not data:
        raise InvalidArgument("config cannot be empty in order to create a container")
    config = CONFIG.load(data)
    host = HOST_CONFIG.load(_given(member(data, "HostConfig")))
    networks = _endpoints(member(data, "NetworkingConfig"))
    host, networks = _default_network(host, networks)
    networks = _mac_address(config, host, networks, version)
    return CreateRequest(
        config=config,
        host_config=_by_version(host, version),
        networks=networks,
        name=name,
        platform=parse_platform(platform) if platform and version >= (1, 41) else None,
    )


def _given(value: Any) -> Any:
    return {} if value is None else value


def _endpoints(networking: object) -> dict[str, EndpointSettings]:
    if networking is None:
        return {}
    endpoints = member(networking, "EndpointsConfig") if isinstance(networking, dict) else networking
    if endpoints is None:
        return {}
    if not isinstance(endpoints, dict):
        raise InvalidArgument("invalid JSON: NetworkingConfig.EndpointsConfig: Expected `object`")
    return {name: ENDPOINT.load(_given(settings)) for name, settings in endpoints.items()}


def _default_network(
    host: HostConfig, networks: dict[str, EndpointSettings]
) -> tuple[HostConfig, dict[str, EndpointSettings]]:
    """`default` is another word for this platform's default network (as dockerd since 28 stores it)."""
    if host.network_mode not in ("", "default"):
        return host, networks
    if "default" in networks:
        networks = {("bridge" if name == "default" else name): value for name, value in networks.items()}
    return msgspec.structs.replace(host, network_mode="bridge"), networks


def _mac_address(
    config: ContainerConfig, host: HostConfig, networks: dict[str, EndpointSettings], version: Version
) -> dict[str, EndpointSettings]:
    """The container-wide address of older clients belongs to the main network's endpoint."""
    mode, address = host.network_mode, config.mac_address
    if not address or mode in ("host", "none") or mode.startswith("container:"):
        return networks
    if version >= (1, 52):
        raise InvalidArgument(
            "container-wide MAC address no longer supported; use endpoint-specific MAC address instead"
        )
    endpoint = networks.get(mode, EndpointSettings())
    if endpoint.mac_address and endpoint.mac_address != address:
        raise InvalidArgument(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
            "or be left empty"
        )
    return {**networks, mode: msgspec.structs.replace(endpoint, mac_address=address)}


def _by_version(host: HostConfig, version: Version) -> HostConfig:
    """What a client's version does not know is ignored or refused, as dockerd does it."""
    changes: dict[str, Any] = {}
    if version >= (1, 42):
        for mount in host.mounts:
            _check_mount(mount)
    else:
        changes["console_size"] = (0, 0)
        changes["mounts"] = tuple(_plain_mount(mount) for mount in host.mounts)
    if version < (1, 43):
        changes["annotations"] = {}
    if version < (1, 40) and not host.ipc_mode:
        changes["ipc_mode"] = "shareable"
    if host.pids_limit is not None and host.pids_limit <= 0:
        changes["pids_limit"] = None
    if host.memory_swappiness == -1:
        changes["memory_swappiness"] = None
    return msgspec.structs.replace(host, **changes) if changes else host


def _check_mount(mount: MountRequest) -> None:
    for attribute, kind, label in _MOUNT_OPTIONS:
        if getattr(mount, attribute) is not None and mount.type != kind:
            raise InvalidArgument(f'{label} must not be specified on mount type "{mount.type}"')


def _plain_mount(mount: MountRequest) -> MountRequest:
    wrong = {attribute: None for attribute, kind, _ in _MOUNT_OPTIONS if mount.type != kind}
    return msgspec.structs.replace(mount, **wrong)


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`, `arm64`, `linux`: containerd's specifier. Raises `InvalidArgument`."""
    parts = text.split("/")
    if len(parts) > 3 or not all(_PLATFORM_PART.match(part) for part in parts):
        raise InvalidArgument(f'"{text}": invalid platform specifier: must be "<os>[/<arch>[/<variant>]]"')
    parts = [part.lower() for part in parts]
    if len(parts) == 1:
        return Platform(os=parts[0]) if parts[0] in _SYSTEMS else Platform(architecture=_architecture(parts[0]))
    if parts[0] not in _SYSTEMS:
        raise InvalidArgument(f'"{text}": unknown operating system or architecture: invalid argument')
    return Platform(os=parts[0], architecture=_architecture(parts[1]), variant=parts[2] if len(parts) == 3 else "")


def _architecture(name: str) -> str:
    return _ARCHITECTURES.get(name, name)


_EXEC = Shape(
    ExecCreateRequest, "ExecConfig", inward={"cmd": lambda value: [value] if isinstance(value, str) else value}
)


def exec_request(container: str, data: dict[str, Any] | None, version: Version) -> ExecCreateRequest:
    """The executor's request for `docker exec`; raises `InvalidArgument`."""
    fields = {key: value for key, value in (data or {}).items() if key.lower() not in ("id", "consolesize")}
    if not member(fields, "Cmd"):
        raise InvalidArgument("No exec command specified")
    request = _EXEC.load({**fields, "Id": container})
    size = console_size(data, version)
    return msgspec.structs.replace(request, console_size=size)


def console_size(data: dict[str, Any] | None, version: Version) -> tuple[int, int]:
    """`ConsoleSize` [height, width]; unknown before 1.42."""
    value = member(data or {}, "ConsoleSize")
    if value is None or version < (1, 42):
        return (0, 0)
    sized = isinstance(value, list) and len(value) == 2
    if not sized or not all(type(number) is int and 0 <= number < 1 << 32 for number in value):
        raise InvalidArgument("invalid JSON: ConsoleSize: Expected `array` of two unsigned numbers")
    return (value[0], value[1])
