"""Legacy links (`--link` on the default bridge): what a container learns of another, and by which name.

Kept in the record as `id:alias`, so that they hold when either container is renamed.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.contracts.container import ContainerConfig
from shared.errors import Conflict, InvalidArgument

from .validation.modes import is_user_defined

NETWORK = "bridge"
"""The network on which links are more than names."""
_NOT_TOLD = ("HOME", "PATH")


def parse(text: str) -> tuple[str, str]:
    """`name:alias`, `name`, or Docker's own form `/name:/parent/alias`, as name and alias."""
    parts = text.split(":")
    if not text:
        raise InvalidArgument("empty string specified for links")
    if len(parts) > 2:
        raise InvalidArgument(f"bad format for links: {text}")
    name, alias = parts[0], parts[-1].rpartition("/")[2] if parts[0].startswith("/") else parts[-1]
    name = name.removeprefix("/")
    if not name or not alias or not alias.isprintable() or " " in alias:
        raise InvalidArgument(f"bad format for links: {text}")
    return name, alias


def wanted(links: Iterable[str], network_mode: str) -> dict[str, str]:
    """Alias to name of the links that are legacy ones; of several with one alias the first."""
    found: dict[str, str] = {}
    for name, alias in map(parse, links):
        found.setdefault(alias, name)
    return {} if is_user_defined(network_mode) else found


def split(link: str) -> tuple[str, str]:
    """Id and alias of a link as it is kept."""
    identity, _, alias = link.partition(":")
    return identity, alias


def without(links: Iterable[str], alias: str) -> tuple[str, ...]:
    """The links but for that of an alias."""
    return tuple(link for link in links if split(link)[1] != alias)


def not_running(child: str, parent: str, alias: str) -> Conflict:
    """The error of a start whose linked container is down."""
    return Conflict(f"Cannot link to a non running container: /{child} AS /{parent}/{alias}")


def environment(parent: str, alias: str, address: str, child: ContainerConfig) -> list[str]:
    """The variables that a container gets of one that it links to (moby: daemon/links)."""
    prefix = alias.upper().replace("-", "_")
    ports = sorted(map(_port, child.exposed_ports or ()), key=lambda port: (port[1] != "tcp", port[1], port[0]))
    found = []
    if ports:
        number, protocol = ports[0]
        found.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for number, protocol in ports:
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        found += [
            f"{name}={protocol}://{address}:{number}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={protocol}",
        ]
    for first, last, protocol in _ranges(ports):
        name = f"{prefix}_PORT_{first}_{protocol.upper()}"
        found += [
            f"{name}_START={protocol}://{address}:{first}",
            f"{name}_PORT_START={first}",
            f"{name}_END={protocol}://{address}:{last}",
            f"{name}_PORT_END={last}",
        ]
    found.append(f"{prefix}_NAME=/{parent}/{alias}")
    for variable in child.env:
        name, equals, value = variable.partition("=")
        if equals and name not in _NOT_TOLD:
            found.append(f"{prefix}_ENV_{name}={value}")
    return found


def _port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    return int(number.partition("-")[0]), protocol.lower() or "tcp"


def _ranges(ports: list[tuple[int, str]]) -> Iterable[tuple[int, int, str]]:
    """Runs of at least two consecutive ports of one protocol."""
    begin = 0
    for index in range(1, len(ports) + 1):
        ended = index == len(ports) or ports[index] != (ports[index - 1][0] + 1, ports[index - 1][1])
        if ended:
            if index - begin > 1:
                yield ports[begin][0], ports[index - 1][0], ports[begin][1]
            begin = index
