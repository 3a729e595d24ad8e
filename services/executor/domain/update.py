"""What `docker update` makes of a container's stored limits (moby's `Container.UpdateContainer`)."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.contracts.container import HostConfig, Resources, RestartPolicy
from shared.errors import Conflict

_CHANGEABLE = (
    "blkio_weight", "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps", "blkio_device_read_iops",
    "blkio_device_write_iops", "cpu_shares", "nano_cpus", "cpu_period", "cpu_quota", "cpuset_cpus", "cpuset_mems",
    "memory", "memory_swap", "memory_reservation", "cpu_realtime_period", "cpu_realtime_runtime",
)  # fmt: skip


def updated(stored: HostConfig, asked: Resources, policy: RestartPolicy | None) -> HostConfig:
    """The configuration with what was asked for; raises `Conflict` where it contradicts what stays."""
    _check_cpu(stored, asked)
    if asked.memory and asked.memory > stored.memory_swap and asked.memory_swap == 0:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if stored.auto_remove and policy is not None and policy.name != "no":
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    changes: dict[str, Any] = {name: value for name in _CHANGEABLE if (value := getattr(asked, name))}
    if asked.pids_limit is not None:
        changes["pids_limit"] = asked.pids_limit
    if policy is not None:
        changes["restart_policy"] = policy
    return msgspec.structs.replace(stored, **changes)


def _check_cpu(stored: HostConfig, asked: Resources) -> None:
    for name, title in (("cpu_period", "CPU Period"), ("cpu_quota", "CPU Quota")):
        if asked.nano_cpus > 0 and getattr(stored, name) > 0:
            raise Conflict(f"Conflicting options: Nano CPUs cannot be updated as {title} has already been set")
        if getattr(asked, name) > 0 and stored.nano_cpus > 0:
            raise Conflict(f"Conflicting options: {title} cannot be updated as NanoCPUs has already been set")


def live_limits(after: HostConfig, asked: Resources) -> Resources:
    """What a running container's host has to change: memory and swap always together, the rest as asked."""
    changes = {name: getattr(asked, name) for name in (*_CHANGEABLE, "pids_limit")}
    if asked.memory or asked.memory_swap:
        changes |= {"memory": after.memory, "memory_swap": after.memory_swap}
    return Resources(**changes)
