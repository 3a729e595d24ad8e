"""Limits of a workload: Docker's `Resources` to the OCI form (runtime-spec, `linux.resources`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.contracts.container import Resources, ThrottleDevice, WeightDevice

PERIOD_US = 100_000
"""Period of the CPU bandwidth controller that --cpus counts in (kernel default)."""
DEFAULT_PIDS = 32_768
"""Processes of one workload when no limit was asked for: none that works needs more, a fork bomb does."""

DeviceNumbers = Callable[[str], tuple[int, int]]
"""Major and minor number of a device node on the host."""


def resources(wanted: Resources, numbers: DeviceNumbers) -> dict[str, Any]:
    """The OCI limits without device rules. Only what was asked for is in it, besides the processes' limit."""
    parts = {"memory": memory(wanted), "cpu": cpu(wanted), "blockIO": block_io(wanted, numbers), "pids": pids(wanted)}
    return {name: part for name, part in parts.items() if part}


def memory(wanted: Resources) -> dict[str, Any]:
    """Bytes. With a limit and no word on swap, as much swap as memory (Docker's rule); -1: unlimited swap."""
    swap = wanted.memory_swap
    if wanted.memory > 0 and swap == 0:
        swap = wanted.memory * 2
    part: dict[str, Any] = {}
    if wanted.memory > 0:
        part["limit"] = wanted.memory
    if swap != 0:
        part["swap"] = swap
    if wanted.memory_reservation > 0:
        part["reservation"] = wanted.memory_reservation
    if wanted.memory_swappiness is not None and wanted.memory_swappiness >= 0:
        part["swappiness"] = wanted.memory_swappiness
    if wanted.oom_kill_disable:
        part["disableOOMKiller"] = True
    return part


def cpu(wanted: Resources) -> dict[str, Any]:
    """Shares as on cgroup v1 (the runtime converts them to weights); quota and period in microseconds."""
    part: dict[str, Any] = {}
    if wanted.nano_cpus > 0:
        part |= {"period": PERIOD_US, "quota": wanted.nano_cpus * PERIOD_US // 1_000_000_000}
    named = {
        "shares": wanted.cpu_shares,
        "period": wanted.cpu_period,
        "quota": wanted.cpu_quota,
        "realtimePeriod": wanted.cpu_realtime_period,
        "realtimeRuntime": wanted.cpu_realtime_runtime,
        "cpus": wanted.cpuset_cpus,
        "mems": wanted.cpuset_mems,
    }
    return part | {name: value for name, value in named.items() if value}


def block_io(wanted: Resources, numbers: DeviceNumbers) -> dict[str, Any]:
    """Weights, and rates in bytes or operations per second; devices by their numbers."""
    part: dict[str, Any] = {}
    if wanted.blkio_weight:
        part["weight"] = wanted.blkio_weight
    if wanted.blkio_weight_device:
        part["weightDevice"] = [_device(d, numbers) | {"weight": d.weight} for d in wanted.blkio_weight_device]
    throttles = {
        "throttleReadBpsDevice": wanted.blkio_device_read_bps,
        "throttleWriteBpsDevice": wanted.blkio_device_write_bps,
        "throttleReadIOPSDevice": wanted.blkio_device_read_iops,
        "throttleWriteIOPSDevice": wanted.blkio_device_write_iops,
    }
    for name, devices in throttles.items():
        if devices:
            part[name] = [_device(d, numbers) | {"rate": d.rate} for d in devices]
    return part


def _device(device: WeightDevice | ThrottleDevice, numbers: DeviceNumbers) -> dict[str, int]:
    major, minor = numbers(device.path)
    return {"major": major, "minor": minor}


def pids(wanted: Resources) -> dict[str, int]:
    """0 and negative numbers mean no limit; nothing said: `DEFAULT_PIDS`."""
    if wanted.pids_limit is None:
        return {"limit": DEFAULT_PIDS}
    return {"limit": wanted.pids_limit if wanted.pids_limit > 0 else -1}
