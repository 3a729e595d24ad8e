"""What `docker info` tells of a host, out of its files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

_VERSION = re.compile(r"\bversion:?\s+v?([0-9][^\s]*)")


def operating_system(os_release: str) -> tuple[str, str]:
    """Name and version out of /etc/os-release (os-release(5))."""
    values: dict[str, str] = {}
    for line in os_release.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            words = shlex.split(value)
            values[name] = words[0] if words else ""
    return values.get("PRETTY_NAME", "Linux"), values.get("VERSION_ID", "")


def memory_total(meminfo: str) -> int:
    """Bytes of memory by /proc/meminfo."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def version(output: str) -> str:
    """The version in a program's `--version` output; empty when it tells none."""
    match = _VERSION.search(output)
    return match.group(1) if match else ""


def features(
    v2: bool, controllers: Collection[str], *, swap: bool, real_time: bool, ipv4_forwarding: bool
) -> dict[str, bool]:
    """Docker's switches, by the controllers of the host."""
    has = set(controllers)
    return {
        "memory_limit": "memory" in has,
        "memory_reservation": "memory" in has,
        "memory_swappiness": not v2 and "memory" in has,
        "swap_limit": "memory" in has and swap,
        "cpu_cfs_period": "cpu" in has,
        "cpu_cfs_quota": "cpu" in has,
        "cpu_shares": "cpu" in has,
        "cpu_realtime": real_time,
        "cpu_set": "cpuset" in has,
        "pids_limit": "pids" in has,
        "oom_kill_disable": not v2 and "memory" in has,
        "ipv4_forwarding": ipv4_forwarding,
        "blkio_weight": "io" in has if v2 else False,
    }


_NOTES = (
    ("memory_limit", "No memory limit support"),
    ("swap_limit", "No swap limit support"),
    ("cpu_cfs_quota", "No cpu cfs quota support"),
    ("cpu_shares", "No cpu shares support"),
    ("cpu_set", "No cpuset support"),
    ("ipv4_forwarding", "IPv4 forwarding is disabled"),
)


def warnings(found: dict[str, bool]) -> tuple[str, ...]:
    """The lines that `docker info` ends with."""
    return tuple(f"WARNING: {text}" for name, text in _NOTES if not found[name])
