"""Limits of a living workload as writes to its control groups' files (cgroups(7)), pure.

The same files and conversions by which crun sets limits when it makes a workload.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from shared.errors import InvalidArgument

from .resources import PERIOD_US


class Write(NamedTuple):
    """A text for the first of `names` that is there in the controller's folder; none there: no matter if `optional`."""

    controller: str
    names: tuple[str, ...]
    text: str
    optional: bool = False


Limits = dict[str, Any]
"""The runtime-spec's `linux.resources`."""


def writes(limits: Limits, v2: bool, cpu_max: str = "") -> list[Write]:
    """What sets these limits. `cpu_max`: what cpu.max holds now (v2), whose other half stays.

    Raises `InvalidArgument` for what a version of control groups cannot do.
    """
    memory, cpu = limits.get("memory", {}), limits.get("cpu", {})
    block, pids = limits.get("blockIO", {}), limits.get("pids", {})
    made = [*_memory_v2(memory), *_cpu_v2(cpu, cpu_max)] if v2 else [*_memory_v1(memory), *_cpu_v1(cpu)]
    made += [Write("cpuset", (f"cpuset.{part}",), cpu[part]) for part in ("cpus", "mems") if part in cpu]
    made += _block_v2(block) if v2 else _block_v1(block)
    if pids:
        made.append(Write("pids", ("pids.max",), _or_max(pids["limit"])))
    return made


def _or_max(value: int) -> str:
    return str(value) if value >= 0 else "max"


def _memory_v1(memory: Limits) -> Iterator[Write]:
    if "limit" in memory:
        yield Write("memory", ("memory.limit_in_bytes",), str(memory["limit"]))
    if "swap" in memory:
        yield Write("memory", ("memory.memsw.limit_in_bytes",), str(memory["swap"]), optional=True)
    if "reservation" in memory:
        yield Write("memory", ("memory.soft_limit_in_bytes",), str(memory["reservation"]))


def _memory_v2(memory: Limits) -> Iterator[Write]:
    """`swap` counts memory too, the file swap alone."""
    if "limit" in memory:
        yield Write("memory", ("memory.max",), _or_max(memory["limit"]))
    if "swap" in memory:
        swap = memory["swap"]
        if swap > 0 and memory.get("limit", 0) <= 0:
            raise InvalidArgument("unable to set swap limit without memory limit")
        text = _or_max(swap - memory["limit"] if swap > 0 else swap)
        yield Write("memory", ("memory.swap.max",), text, optional=True)
    if "reservation" in memory:
        yield Write("memory", ("memory.low",), str(memory["reservation"]))


def _cpu_v1(cpu: Limits) -> Iterator[Write]:
    files = {
        "shares": "cpu.shares",
        "period": "cpu.cfs_period_us",
        "quota": "cpu.cfs_quota_us",
        "realtimePeriod": "cpu.rt_period_us",
        "realtimeRuntime": "cpu.rt_runtime_us",
    }
    for name, file in files.items():
        if name in cpu:
            yield Write("cpu", (file,), str(cpu[name]))


def _cpu_v2(cpu: Limits, now: str) -> Iterator[Write]:
    if "realtimePeriod" in cpu or "realtimeRuntime" in cpu:
        raise InvalidArgument("real-time CPU limits are not supported on cgroup v2")
    if "shares" in cpu:
        yield Write("cpu", ("cpu.weight",), str(weight(cpu["shares"])))
    if "quota" in cpu or "period" in cpu:
        quota, _, period = now.strip().partition(" ")
        quota = _or_max(cpu["quota"]) if "quota" in cpu else quota or "max"
        yield Write("cpu", ("cpu.max",), f"{quota} {cpu.get('period') or period or PERIOD_US}")


def weight(shares: int) -> int:
    """CPU weight (1 to 10000) for v1's shares (2 to 262144): meets both ends and 1024 = 100 (as crun and runc)."""
    if shares <= 2:
        return 1
    if shares >= 262_144:
        return 10_000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


_THROTTLES = {
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops"),
}


def _block_v1(block: Limits) -> Iterator[Write]:
    if "weight" in block:
        yield Write("blkio", ("blkio.weight", "blkio.bfq.weight"), str(block["weight"]))
    for device in block.get("weightDevice", ()):
        text = f"{device['major']}:{device['minor']} {device['weight']}"
        yield Write("blkio", ("blkio.weight_device", "blkio.bfq.weight_device"), text)
    for name, (file, _) in _THROTTLES.items():
        for device in block.get(name, ()):
            yield Write("blkio", (file,), f"{device['major']}:{device['minor']} {device['rate']}")


def _block_v2(block: Limits) -> Iterator[Write]:
    """io.bfq.weight takes v1's numbers; io.weight, where that is missing, 1 to 10000 for 10 to 1000."""
    if "weight" in block:
        yield Write("io", ("io.bfq.weight",), str(block["weight"]), optional=True)
        yield Write("io", ("io.weight",), str(1 + (block["weight"] - 10) * 9999 // 990), optional=True)
    for device in block.get("weightDevice", ()):
        yield Write("io", ("io.bfq.weight",), f"{device['major']}:{device['minor']} {device['weight']}")
    for name, (_, key) in _THROTTLES.items():
        for device in block.get(name, ()):
            yield Write("io", ("io.max",), f"{device['major']}:{device['minor']} {key}={device['rate'] or 'max'}")
