"""Containers as `inspect` and `ps` show them."""

from __future__ import annotations

from typing import Any

from shared.clock import rfc3339
from shared.contracts.container import ContainerSpec, ContainerStatus, EndpointSettings, Health, MountPoint
from shared.contracts.executor import UsageEntry
from shared.ids import SHORT

from ..http.version import Version
from .container_shapes import CONFIG, ENDPOINT, HOST_CONFIG, MOUNT_POINT
from .manifests import descriptor
from .ports import show as show_ports
from .status import is_running

DRIVER = "overlay2"
"""The storage driver's name in Docker's words: what image_store's snapshots are made of."""
_PREDEFINED = frozenset(("bridge", "host", "none", "default"))


def _health(health: Health) -> dict[str, Any]:
    log = [
        {"Start": rfc3339(entry.start), "End": rfc3339(entry.end), "ExitCode": entry.exit_code, "Output": entry.output}
        for entry in health.log
    ]
    return {"Status": health.status, "FailingStreak": health.failing_streak, "Log": log}


def state(status: ContainerStatus) -> dict[str, Any]:
    """`State` of inspect."""
    result: dict[str, Any] = {
        "Status": status.state,
        "Running": is_running(status),
        "Paused": status.state == "paused",
        "Restarting": status.state == "restarting",
        "OOMKilled": status.oom_killed,
        "Dead": status.state == "dead",
        "Pid": status.pid if status.state in ("running", "paused") else 0,
        "ExitCode": status.exit_code,
        "Error": status.error,
        "StartedAt": rfc3339(status.started_at),
        "FinishedAt": rfc3339(status.finished_at),
    }
    if status.health is not None and status.health.status != "none":
        result["Health"] = _health(status.health)
    return result


def endpoints(spec: ContainerSpec, status: ContainerStatus) -> dict[str, EndpointSettings]:
    """What each network gave, or where nothing is running, what was asked for."""
    return {**spec.networks, **status.networks}


def mounts(points: tuple[MountPoint, ...]) -> list[dict[str, Any]]:
    """`Mounts`: the mounts as resolved, without what only the engine needs to know."""
    result = []
    for point in points:
        shown = MOUNT_POINT.dump(point)
        del shown["CopyUp"], shown["Spec"]
        result.append(shown)
    return result


def _networks(
    spec: ContainerSpec, status: ContainerStatus, version: Version, own_aliases: bool = False
) -> dict[str, dict[str, Any]]:
    result = {}
    for name, settings in endpoints(spec, status).items():
        shown = ENDPOINT.dump(settings)
        if version < (1, 44):
            del shown["DNSNames"]
        if version < (1, 48):
            del shown["GwPriority"]
        if own_aliases and name not in _PREDEFINED:
            own = [spec.id[:SHORT], spec.config.hostname]
            shown["Aliases"] = list(dict.fromkeys([*(settings.aliases or ()), *own]))
        result[name] = shown
    return result


_BRIDGE_FIELDS = (
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
)


def network_settings(spec: ContainerSpec, status: ContainerStatus, version: Version) -> dict[str, Any]:
    """`NetworkSettings` of inspect. Until 1.52 it repeats the default bridge's endpoint."""
    networks = _networks(spec, status, version, own_aliases=version < (1, 45))
    result: dict[str, Any] = {
        "SandboxID": status.sandbox_id,
        "SandboxKey": status.sandbox_key,
        "Ports": show_ports(status.ports),
    }
    if version < (1, 52):
        bridge = networks.get("bridge") or ENDPOINT.dump(EndpointSettings())
        result |= {field: bridge[field] for field in _BRIDGE_FIELDS}
        result |= {
            "Bridge": "",
            "HairpinMode": False,
            "LinkLocalIPv6Address": "",
            "LinkLocalIPv6PrefixLen": 0,
            "SecondaryIPAddresses": None,
            "SecondaryIPv6Addresses": None,
        }
    return result | {"Networks": networks}


def _host_config(spec: ContainerSpec, version: Version) -> dict[str, Any]:
    result = HOST_CONFIG.dump(spec.host_config)
    result |= {"CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0}
    if version < (1, 42):
        result |= {"KernelMemory": 0, "KernelMemoryTCP": 0}
    if version < (1, 43):
        result.pop("Annotations", None)
    return result


def _config(spec: ContainerSpec, version: Version) -> dict[str, Any]:
    """Until 1.52 the main network's wished MAC address is the container's as well."""
    result = CONFIG.dump(spec.config)
    if version >= (1, 52):
        if not result["OnBuild"]:
            del result["OnBuild"]
        return result
    main = spec.networks.get(spec.host_config.network_mode)
    if main is not None and main.mac_address:
        result["MacAddress"] = main.mac_address
    return result


def inspect(
    spec: ContainerSpec, status: ContainerStatus, version: Version, links: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The answer of `GET /containers/{id}/json`; `links` as Docker writes them."""
    return {
        "Id": spec.id,
        "Created": rfc3339(spec.created),
        "Path": spec.path,
        "Args": spec.args,
        "State": state(status),
        "Image": spec.image_id,
        "ResolvConfPath": status.resolv_conf_path,
        "HostnamePath": status.hostname_path,
        "HostsPath": status.hosts_path,
        "LogPath": ""
        if spec.host_config.log_config.type == "local"
        else status.log_path,  # its form is nobody's business
        "Name": f"/{spec.name}",
        "RestartCount": status.restart_count,
        "Driver": DRIVER,
        "Platform": spec.platform.os,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": status.exec_ids or None,
        "HostConfig": _host_config(spec, version) | {"Links": links or None},
        "GraphDriver": {"Data": spec.graph_driver or None, "Name": DRIVER},
        "Mounts": mounts(spec.mounts),
        "Config": _config(spec, version),
        "NetworkSettings": network_settings(spec, status, version),
        **_manifest(spec, version),
    }


def _manifest(spec: ContainerSpec, version: Version) -> dict[str, Any]:
    """Of a container made before there was such a thing, nothing."""
    if version < (1, 48) or spec.image_manifest is None:
        return {}
    return {"ImageManifestDescriptor": descriptor(spec.image_manifest, spec.platform)}


def command(spec: ContainerSpec) -> str:
    """The process as one line; arguments with blanks in quotes, as Docker does it."""
    return " ".join([spec.path, *(f"'{arg}'" if " " in arg else arg for arg in spec.args)])


def ports(status: ContainerStatus) -> list[dict[str, Any]]:
    """`Ports` of ps: one entry for each published address, one without address for a port only exposed."""
    result: list[dict[str, Any]] = []
    for port, bindings in sorted(status.ports.items(), key=lambda item: _port_key(item[0])):
        number, protocol = _port_key(port)
        for binding in bindings or ():
            public = {"PublicPort": int(binding.host_port)} if binding.host_port.isdigit() else {}
            address = {"IP": binding.host_ip} if binding.host_ip else {}
            result.append({**address, "PrivatePort": number, **public, "Type": protocol})
        if not bindings:
            result.append({"PrivatePort": number, "Type": protocol})
    return result


def _port_key(port: str) -> tuple[int, str]:
    number, _, protocol = port.partition("/")
    return int(number) if number.isdigit() else 0, protocol or "tcp"


def summary(
    spec: ContainerSpec, status: ContainerStatus, version: Version, text: str, aliases: tuple[str, ...] = ()
) -> dict[str, Any]:
    """One entry of `GET /containers/json`; `text` is the status text, `aliases` what others call it (`--link`)."""
    host_config: dict[str, Any] = {"NetworkMode": spec.host_config.network_mode}
    if version >= (1, 46) and spec.host_config.annotations:
        host_config["Annotations"] = spec.host_config.annotations
    result: dict[str, Any] = {
        "Id": spec.id,
        "Names": [f"/{spec.name}", *aliases],
        "Image": spec.config.image,
        "ImageID": spec.image_id,
        "Command": command(spec),
        "Created": spec.created // 1_000_000_000,
        "Ports": ports(status),
        "Labels": spec.config.labels,
        "State": status.state,
        "HostConfig": host_config,
        "NetworkSettings": {"Networks": _networks(spec, status, version)},
        "Mounts": mounts(spec.mounts),
        **_manifest(spec, version),
    }
    if version >= (1, 52):
        health = status.health
        result["Health"] = {
            "Status": health.status if health else "none",
            "FailingStreak": health.failing_streak if health else 0,
        }
    result["Status"] = text
    return result


def sizes(entry: UsageEntry | None) -> dict[str, int]:
    """`SizeRw` (left out when 0, as Docker does) and `SizeRootFs`."""
    if entry is None:
        return {}
    return {**({"SizeRw": entry.rw_bytes} if entry.rw_bytes else {}), "SizeRootFs": entry.rootfs_bytes}
