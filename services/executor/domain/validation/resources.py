"""Limits: memory, CPU, block I/O, processes."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts.container import HostConfig
from shared.errors import InvalidArgument

from .host import Host

LEAST_MEMORY = 6 << 20
MOST_NODES = 64
"""Of a host's memory, that are named where one is missing."""
_LIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
_NO_KERNEL = "Your kernel does not support"


def check_resources(asked: HostConfig, host: Host, update: bool = False) -> tuple[HostConfig, list[str]]:
    """The limits as they will hold, and warnings for those the kernel cannot keep; raises `InvalidArgument`.

    With `update` they change others, which are not seen here.
    """
    warnings: list[str] = []
    if asked.memory == 0 and asked.memory_swap > 0 and not update:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    for check in (_memory, _swappiness, _reservation, _oom_and_pids, _cpu, _cpu_shares, _cpuset, _block_io):
        asked = msgspec.structs.replace(asked, **check(asked, host, warnings))
    _ulimits(asked)
    return asked, warnings


def _memory(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    memory, swap = asked.memory, asked.memory_swap
    if memory != 0 and memory < LEAST_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory > 0 and not host.has("memory_limit"):
        warnings.append(f"{_NO_KERNEL} memory limit capabilities or the cgroup is not mounted. Limitation discarded.")
        memory, swap = 0, -1
    if memory > 0 and swap != -1 and not host.has("swap_limit"):
        warnings.append(
            f"{_NO_KERNEL} swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
        )
        swap = -1
    if swap < -1 or (memory > 0 and 0 < swap < memory):  # cgroup v2's runtime would take the first for no limit
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    return {"memory": memory, "memory_swap": swap}


def _swappiness(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    value = None if asked.memory_swappiness == -1 else asked.memory_swappiness
    if value is not None and not host.has("memory_swappiness"):
        warnings.append(
            f"{_NO_KERNEL} memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded."
        )
        value = None
    if value is not None and not 0 <= value <= 100:
        raise InvalidArgument(f"Invalid value: {value}, valid memory swappiness range is 0-100")
    return {"memory_swappiness": value}


def _reservation(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    value = asked.memory_reservation
    if value > 0 and not host.has("memory_reservation"):
        warnings.append(
            f"{_NO_KERNEL} memory soft limit capabilities or the cgroup is not mounted. Limitation discarded."
        )
        value = 0
    if 0 < value < LEAST_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if 0 < asked.memory < value:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    return {"memory_reservation": value}


def _oom_and_pids(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    disable, pids = asked.oom_kill_disable, asked.pids_limit
    if disable and not host.has("oom_kill_disable"):
        warnings.append(f"{_NO_KERNEL} OomKillDisable. OomKillDisable discarded.")
        disable = False
    if disable and asked.memory == 0:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    if pids is not None and pids <= 0:
        pids = 0
    elif pids is not None and not host.has("pids_limit"):
        warnings.append(f"{_NO_KERNEL} PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.")
        pids = None
    return {"oom_kill_disable": disable, "pids_limit": pids}


def _cpu(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    period, quota = asked.cpu_period, asked.cpu_quota
    if asked.nano_cpus > 0 and period > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if asked.nano_cpus > 0 and quota > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if asked.nano_cpus > 0 and not host.has("cpu_cfs_quota"):
        raise InvalidArgument(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    count = host.info.cpus
    if not 0 <= asked.nano_cpus <= count * 1_000_000_000:
        raise InvalidArgument(f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if (period or quota) and not host.has("cpu_cfs_period"):
        warnings.append(f"{_NO_KERNEL} CPU CFS scheduler. CPU period/quota discarded.")
        period = quota = 0
    if period and not 1_000 <= period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1_000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    return {"cpu_period": period, "cpu_quota": quota}


def _cpu_shares(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    if (asked.cpu_realtime_period or asked.cpu_realtime_runtime) and not host.info.features.get("cpu_realtime"):
        raise InvalidArgument("kernel does not support CPU real-time scheduler")
    if 0 < asked.cpu_realtime_period < asked.cpu_realtime_runtime:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")
    if asked.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({asked.cpu_shares}): value must be a positive integer")
    if asked.cpu_shares > 0 and not host.has("cpu_shares"):
        warnings.append(f"{_NO_KERNEL} CPU shares or the cgroup is not mounted. Shares discarded.")
        return {"cpu_shares": 0}
    return {}


def _cpuset(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    if (asked.cpuset_cpus or asked.cpuset_mems) and not host.has("cpu_set"):
        warnings.append(f"{_NO_KERNEL} cpuset or the cgroup is not mounted. Cpuset discarded.")
        return {"cpuset_cpus": "", "cpuset_mems": ""}
    available = f"0-{host.info.cpus - 1}" if host.info.cpus > 1 else "0"
    wanted = _numbers(asked.cpuset_cpus, "cpus")
    if any(number >= host.info.cpus for number in wanted):
        raise InvalidArgument(
            f"Requested CPUs are not available - requested {asked.cpuset_cpus}, available: {available}"
        )
    wanted = _numbers(asked.cpuset_mems, "mems")
    if not all(map(host.has_memory_node, wanted)):
        present = ",".join(str(number) for number in range(MOST_NODES) if host.has_memory_node(number))
        raise InvalidArgument(
            f"Requested memory nodes are not available - requested {asked.cpuset_mems}, available: {present}"
        )
    return {}


def _numbers(text: str, what: str) -> set[int]:
    """The numbers of a kernel list such as `0-2,7`."""
    numbers: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)) or len(part) > 9:
            raise InvalidArgument(f"Invalid value {text} for cpuset {what}: invalid format: {text}")
        if int(last or first) < int(first) or int(last or first) > 8192:
            raise InvalidArgument(f"Invalid value {text} for cpuset {what}: invalid format: {text}")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _block_io(asked: HostConfig, host: Host, warnings: list[str]) -> dict[str, Any]:
    weight = asked.blkio_weight
    if weight > 0 and not host.has("blkio_weight"):
        warnings.append(f"{_NO_KERNEL} Block I/O weight or the cgroup is not mounted. Weight discarded.")
        weight = 0
    if weight and not 10 <= weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    throttled = (
        *asked.blkio_device_read_bps,
        *asked.blkio_device_write_bps,
        *asked.blkio_device_read_iops,
        *asked.blkio_device_write_iops,
    )
    for path in (*(device.path for device in asked.blkio_weight_device), *(device.path for device in throttled)):
        if not host.exists(path):
            raise InvalidArgument(f"stat {path}: no such file or directory")
    return {"blkio_weight": weight}


def _ulimits(asked: HostConfig) -> None:
    for limit in asked.ulimits:
        if limit.name not in _LIMITS.split():
            raise InvalidArgument(f"invalid ulimit type: {limit.name}")
        if limit.hard != -1 and (limit.soft == -1 or limit.soft > limit.hard):
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
            )
        if limit.soft < -1 or limit.hard < -1:
            raise InvalidArgument(f"invalid ulimit {limit.name}: {limit.soft}:{limit.hard}")
