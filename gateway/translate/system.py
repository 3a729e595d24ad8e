"""`docker version` and `docker info`."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from shared import proxies
from shared.clock import now_ns, rfc3339
from shared.config import Settings
from shared.contracts.container import State
from shared.contracts.platform import HostInfo
from shared.version import ENGINE_VERSION

from ..http.version import OFFERED, OLDEST, Version
from .container import DRIVER

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}
_VERSION = re.compile(r"[0-9]+(?:\.[0-9A-Za-z~+-]+)*")
INIT = "docker-init"


def _number(text: str) -> str:
    """`crun version 1.21` says 1.21."""
    found = _VERSION.search(text)
    return found[0] if found else text


def version(host: HostInfo) -> dict[str, Any]:
    """The answer of `GET /version`."""
    facts = {
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "Os": host.platform.os,
        "Arch": host.platform.architecture,
        "KernelVersion": host.kernel_version,
        "BuildTime": "",
        "MinAPIVersion": str(OLDEST),
        "ApiVersion": str(OFFERED),
    }
    engine = {"Name": "Engine", "Version": ENGINE_VERSION, "Details": {**facts, "Experimental": "true"}}
    parts = (
        (host.default_runtime, host.runtime_version),
        ("conmon", host.monitor_version),
        (INIT, host.init_version),
    )
    components = [engine] + [
        {"Name": name, "Version": _number(text), "Details": {"GitCommit": ""}} for name, text in parts if text
    ]
    return {
        "Platform": {"Name": "Shoal"},
        "Components": components,
        "Version": ENGINE_VERSION,
        **facts,
        "Experimental": True,
    }


_FEATURES = {
    "MemoryLimit": "memory_limit",
    "SwapLimit": "swap_limit",
    "CpuCfsPeriod": "cpu_cfs_period",
    "CpuCfsQuota": "cpu_cfs_quota",
    "CPUShares": "cpu_shares",
    "CPUSet": "cpu_set",
    "PidsLimit": "pids_limit",
    "IPv4Forwarding": "ipv4_forwarding",
    "OomKillDisable": "oom_kill_disable",
}


def open_addresses(settings: Settings) -> list[str]:
    """dockerd's warnings for tcp addresses that anybody may use who reaches them."""
    if settings.tls_cert and settings.tls_ca:
        return []
    scheme, lacking = ("https", "TLS client verification") if settings.tls_cert else ("http", "encryption")
    return [
        f"[DEPRECATION NOTICE]: API is accessible on {scheme}://{host.partition('://')[2]} without {lacking}.\n"
        "         Access to the remote API is equivalent to root access on the host. Refer\n"
        "         to the 'Docker daemon attack surface' section in the documentation for\n"
        "         more information: https://docs.docker.com/go/attack-surface/"
        for host in settings.hosts
        if host.startswith("tcp://")
    ]


def _counts(states: Sequence[State]) -> dict[str, int]:
    paused = states.count("paused")
    running = states.count("running") + states.count("restarting")
    return {
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
    }


def _host(host: HostInfo) -> dict[str, Any]:
    return {
        **{name: host.features.get(feature, False) for name, feature in _FEATURES.items()},
        "CgroupDriver": host.cgroup_driver,
        "CgroupVersion": host.cgroup_version,
        "KernelVersion": host.kernel_version,
        "OperatingSystem": host.operating_system,
        "OSVersion": host.os_version,
        "OSType": host.platform.os,
        "Architecture": _MACHINES.get(host.platform.architecture, host.platform.architecture),
        "NCPU": host.cpus,
        "MemTotal": host.memory_bytes,
        "SecurityOptions": host.security_options,
        "Runtimes": {name: {"path": path} for name, path in host.runtimes.items()},
        "DefaultRuntime": host.default_runtime,
        "InitBinary": INIT,
    }


def _by_version(host: HostInfo, version: Version) -> dict[str, Any]:
    """What came and went: commits, fields of kernels past."""
    runtime = {"ID": _number(host.runtime_version)}
    commits: dict[str, dict[str, str]] = {
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": runtime,
        "InitCommit": {"ID": host.init_version},
    }
    result: dict[str, Any] = dict(commits)
    if version < (1, 49):
        result = {name: {**commit, "Expected": commit["ID"]} for name, commit in commits.items()}
    else:
        result["FirewallBackend"] = {"Driver": "nftables"}
    if version < (1, 50):
        result |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if version < (1, 42):
        result |= {"KernelMemory": False, "KernelMemoryTCP": False}
    return result


def _storage(host: HostInfo) -> list[list[str]]:
    """The lines below the storage driver, and the platforms that can run: Docker has no other place for them."""
    runnable = ", ".join(f"{each.os}/{each.architecture}" for each in host.platforms)
    lines = [["Supports d_type", "true"], ["Using metacopy", "false"], ["userxattr", "false"]]
    return [*lines, ["Platforms", runnable]] if runnable else lines


class Activity(NamedTuple):
    """What the process that answers is busy with: open descriptors, tasks, clients that listen to events."""

    descriptors: int = 0
    tasks: int = 0
    listeners: int = 0


_IDLE = Activity()


def info(
    settings: Settings,
    node: str,
    host: HostInfo,
    states: Sequence[State],
    images: int,
    version: Version,
    activity: Activity = _IDLE,
) -> dict[str, Any]:
    """The answer of `GET /info`."""
    proxy = proxies.from_environment(os.environ)
    return {
        "ID": node,
        **_counts(states),
        "Images": images,
        "Driver": DRIVER,
        "DriverStatus": _storage(host),
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": sorted(host.log_drivers),
        },
        **_host(host),
        "Warnings": [*host.warnings, *open_addresses(settings)] or None,
        **_by_version(host, version),
        "Debug": settings.log_level == "debug",
        "NFd": activity.descriptors,
        "NGoroutines": activity.tasks,
        "SystemTime": rfc3339(now_ns()),
        "LoggingDriver": "json-file",
        "NEventsListener": activity.listeners,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registry(settings, version),
        "GenericResources": None,
        "DockerRootDir": settings.state_dir,
        "HttpProxy": proxies.masked(proxy.http),
        "HttpsProxy": proxies.masked(proxy.https),
        "NoProxy": proxy.without,
        "Name": settings.node,
        "Labels": [f"{key}={value}" for key, value in settings.labels.items()],
        "ExperimentalBuild": True,
        "ServerVersion": ENGINE_VERSION,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "DefaultAddressPools": [{"Base": pool.base, "Size": pool.size} for pool in settings.address_pools],
        "CDISpecDirs": [],
        "ProductLicense": "",
    }


def _registry(settings: Settings, version: Version) -> dict[str, Any]:
    mirrors = [each.rstrip("/") + "/" for each in settings.registry_mirrors]
    insecure = [each.removeprefix("http://").removeprefix("https://") for each in settings.insecure_registries]
    networks = [each for each in insecure if "/" in each]
    indexes = {
        each: {"Name": each, "Mirrors": [], "Secure": False, "Official": False}
        for each in insecure
        if each not in networks
    }
    hub = {"Name": "docker.io", "Mirrors": mirrors, "Secure": True, "Official": True}
    result: dict[str, Any] = {
        "InsecureRegistryCIDRs": [*networks, "::1/128", "127.0.0.0/8"],
        "IndexConfigs": {**indexes, "docker.io": hub},
        "Mirrors": mirrors or None,
    }
    if version < (1, 47):
        result |= {"AllowNondistributableArtifactsCIDRs": None, "AllowNondistributableArtifactsHostnames": None}
    return result
