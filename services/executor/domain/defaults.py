"""What dockerd fills in where a client leaves a field of HostConfig empty (`adaptContainerSettings`)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shared.contracts.container import HostConfig
from shared.contracts.platform import HostInfo

from .validation.modes import joined

SHM_SIZE = 64 << 20
MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def with_defaults(asked: HostConfig, info: HostInfo, find: Callable[[str], str | None]) -> HostConfig:
    """The HostConfig to store. `find` gives the id of the container that a reference names, or None."""
    privileged = asked.privileged
    return msgspec.structs.replace(
        asked,
        network_mode=_pinned("bridge" if asked.network_mode in ("", "default") else asked.network_mode, find),
        pid_mode=_pinned(asked.pid_mode, find),
        ipc_mode=_pinned(asked.ipc_mode or "private", find),
        memory_swap=asked.memory_swap or (asked.memory * 2 if asked.memory > 0 else 0),
        shm_size=asked.shm_size or SHM_SIZE,
        cgroupns_mode=asked.cgroupns_mode or _cgroupns(asked, info),
        runtime=asked.runtime or info.default_runtime,
        security_opt=(*asked.security_opt, *_unlabelled(asked)),
        masked_paths=MASKED_PATHS if asked.masked_paths is None and not privileged else asked.masked_paths,
        readonly_paths=READONLY_PATHS if asked.readonly_paths is None and not privileged else asked.readonly_paths,
    )


def _pinned(mode: str, find: Callable[[str], str | None]) -> str:
    """`container:NAME` with the id instead: it holds when the other container is renamed."""
    name = joined(mode)
    found = find(name) if name else None
    return f"container:{found}" if found else mode


def _cgroupns(asked: HostConfig, info: HostInfo) -> str:
    """Private everywhere; dockerd shares the host's on cgroup v1, which shows containers more than they need."""
    return "host" if asked.privileged and info.cgroup_version != "2" else "private"


def _unlabelled(asked: HostConfig) -> tuple[str, ...]:
    """A container that sees the host's processes or memory cannot be confined by labels."""
    if any(option.partition("=")[0] == "label" for option in asked.security_opt):
        return ()
    open_to_host = asked.privileged or asked.ipc_mode == "host" or asked.pid_mode == "host"
    return ("label=disable",) if open_to_host else ()
