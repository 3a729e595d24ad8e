"""Modes of sharing namespaces, and the options that exclude each other."""

from __future__ import annotations

from shared.contracts.container import ContainerConfig, HostConfig
from shared.errors import InvalidArgument


def joined(mode: str) -> str | None:
    """The container a mode names (`container:NAME`), empty for one without a name, None for other modes."""
    kind, colon, name = mode.partition(":")
    return name if kind == "container" and colon else None


def is_user_defined(network_mode: str) -> bool:
    """Whether a network mode is the name of a network that somebody made."""
    return network_mode not in ("", "default", "bridge", "host", "none") and joined(network_mode) is None


def check_connect(network_mode: str) -> None:
    """Refuses to connect a container whose network stack is not its own."""
    if network_mode == "host" or joined(network_mode) is not None:
        raise InvalidArgument(
            "container sharing network namespace with another container or host "
            "cannot be connected to any other network"
        )


def check_modes(config: ContainerConfig, asked: HostConfig) -> None:
    """Raises `InvalidArgument` in the words of dockerd's runconfig."""
    _check_joined_network(config, asked)
    if asked.uts_mode == "host" and config.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if asked.network_mode == "host" and asked.links:
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    if asked.isolation.lower() not in ("", "default"):
        raise InvalidArgument(f"invalid isolation ({asked.isolation}): linux only supports 'default'")
    _check_namespaces(asked)


def _check_joined_network(config: ContainerConfig, asked: HostConfig) -> None:
    donor = "" if asked.network_mode == "container" else joined(asked.network_mode)
    if donor is None:
        return
    if not donor:
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    conflicts = (
        (config.hostname, "conflicting options: hostname and the network mode"),
        (
            asked.links,
            "conflicting options: container type network can't be used with links. "
            "This would result in undefined behavior",
        ),
        (asked.dns, "conflicting options: dns and the network mode"),
        (asked.extra_hosts, "conflicting options: custom host-to-IP mapping and the network mode"),
        (
            asked.port_bindings or asked.publish_all_ports,
            "conflicting options: port publishing and the container type network mode",
        ),
        (config.exposed_ports, "conflicting options: port exposing and the container type network mode"),
    )
    for present, text in conflicts:
        if present:
            raise InvalidArgument(text)


def _check_namespaces(asked: HostConfig) -> None:
    ipc, pid = asked.ipc_mode, asked.pid_mode
    if ipc not in ("", "none", "private", "host", "shareable") and joined(ipc) is None:
        raise InvalidArgument(f"invalid IPC mode: {ipc}")
    if pid not in ("", "host") and not joined(pid):
        raise InvalidArgument(f"invalid PID mode: {pid}")
    if asked.uts_mode not in ("", "host"):
        raise InvalidArgument(f"invalid UTS mode: {asked.uts_mode}")
    if asked.userns_mode not in ("", "host"):
        raise InvalidArgument(f"invalid user namespace mode: {asked.userns_mode}")
    if asked.cgroupns_mode not in ("", "host", "private"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {asked.cgroupns_mode}")
