"""A request to create a container, from Docker's JSON."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from shared.contracts.common import Platform
from shared.contracts.container import EndpointSettings, HostConfig
from shared.contracts.execs import ExecCreateRequest
from shared.contracts.executor import CreateRequest
from shared.errors import InvalidArgument

from ..http.version import Version
from .by_version import adapt, discarded
from .container_shapes import CONFIG, ENDPOINT, HOST_CONFIG
from .shape import Shape

_PLATFORM_PART = re.compile(r"[A-Za-z0-9_.-]+\Z")
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
}
_KNOWN = frozenset((
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le", "loong64", "mips", "mipsle",
    "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64",
    "wasm"
))  # fmt: skip
"""Architectures, as containerd knows them."""
_SYSTEMS = frozenset(("linux", "windows", "darwin", "freebsd", "solaris", "illumos", "wasi"))


def member(data: dict[str, Any], name: str) -> Any:
    """A member of Docker's object, whatever the case of its name."""
    if name in data:
        return data[name]
    lower = name.lower()
    return next((value for key, value in data.items() if key.lower() == lower), None)


def create_request(
    data: dict[str, Any] | None, name: str, platform: str, version: Version
) -> tuple[CreateRequest, list[str]]:
    """The executor's request, and warnings; raises `InvalidArgument` in Docker's words."""
    if not data:
        raise InvalidArgument("config cannot be empty in order to create a container")
    config = CONFIG.load(data)
    inner = member(data, "HostConfig")
    given = data if inner is None else inner  # without one, what old clients put beside the config counts
    host = HOST_CONFIG.load(given)
    warnings = discarded(given, version)
    networks = _endpoints(member(data, "NetworkingConfig"))
    host, networks = _default_network(host, networks)
    asked = CreateRequest(
        config=config,
        host_config=host,
        networks=networks,
        name=name,
        platform=parse_platform(platform) if platform and version >= (1, 41) else None,
    )
    adapted, told = adapt(asked, version)
    return adapted, warnings + told


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


def parse_platform(text: str) -> Platform:
    """`linux/arm64/v8`, `arm64`, `linux`: containerd's specifier. Raises `InvalidArgument`."""
    parts = text.split("/")
    if len(parts) > 3 or not all(_PLATFORM_PART.match(part) for part in parts):
        raise InvalidArgument(f'"{text}": invalid platform specifier: must be "<os>[/<arch>[/<variant>]]"')
    parts = [part.lower() for part in parts]
    if len(parts) == 1:
        return _one_word(text, parts[0])
    if parts[0] not in _SYSTEMS:
        raise InvalidArgument(f'"{text}": unknown operating system or architecture: invalid argument')
    return Platform(os=parts[0], architecture=_architecture(parts[1]), variant=parts[2] if len(parts) == 3 else "")


def _one_word(text: str, word: str) -> Platform:
    """A system or an architecture."""
    if word in _SYSTEMS:
        return Platform(os=word)
    if (architecture := _architecture(word)) in _KNOWN:
        return Platform(architecture=architecture)
    raise InvalidArgument(f'"{text}": unknown operating system or architecture: invalid argument')


def _architecture(name: str) -> str:
    return _ARCHITECTURES.get(name, name)


EXEC = Shape(
    ExecCreateRequest, "ExecConfig", inward={"cmd": lambda value: [value] if isinstance(value, str) else value}
)


_NOT_THE_CLIENTS = ("id", "consolesize", "called", "execid")


def exec_request(
    container: str, data: dict[str, Any] | None, version: Version, called: str = "", exec_id: str = ""
) -> ExecCreateRequest:
    """The executor's request for `docker exec`; raises `InvalidArgument`. `called`: the container, by the client."""
    fields = {key: value for key, value in (data or {}).items() if key.lower() not in _NOT_THE_CLIENTS}
    if not member(fields, "Cmd"):
        raise InvalidArgument("No exec command specified")
    request = EXEC.load({**fields, "Id": container})
    size = console_size(data, version)
    return msgspec.structs.replace(request, console_size=size, called=called, exec_id=exec_id)


def console_size(data: dict[str, Any] | None, version: Version) -> tuple[int, int]:
    """`ConsoleSize` [height, width]; unknown before 1.42."""
    value = member(data or {}, "ConsoleSize")
    if value is None or version < (1, 42):
        return (0, 0)
    sized = isinstance(value, list) and len(value) == 2
    if not sized or not all(type(number) is int and 0 <= number < 1 << 32 for number in value):
        raise InvalidArgument("invalid JSON: ConsoleSize: Expected `array` of two unsigned numbers")
    return (value[0], value[1])
