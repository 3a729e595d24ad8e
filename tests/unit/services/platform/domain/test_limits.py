"""Limits as writes to control groups' files."""

from __future__ import annotations

from typing import Any

import pytest

from services.platform.domain.limits import weight, writes
from shared.errors import InvalidArgument


def made(limits: dict[str, Any], v2: bool, cpu_max: str = "") -> dict[str, str]:
    return {write.names[0]: write.text for write in writes(limits, v2, cpu_max)}


def test_memory() -> None:
    limits = {"memory": {"limit": 100, "swap": 300, "reservation": 50}}
    assert made(limits, False) == {
        "memory.limit_in_bytes": "100", "memory.memsw.limit_in_bytes": "300", "memory.soft_limit_in_bytes": "50",
    }  # fmt: skip
    assert made(limits, True) == {"memory.max": "100", "memory.swap.max": "200", "memory.low": "50"}


def test_no_limit() -> None:
    limits = {"memory": {"limit": 100, "swap": -1}, "pids": {"limit": -1}}
    assert made(limits, False)["memory.memsw.limit_in_bytes"] == "-1"
    assert made(limits, True) == {"memory.max": "100", "memory.swap.max": "max", "pids.max": "max"}


def test_swap_alone_says_nothing_on_v2() -> None:
    with pytest.raises(InvalidArgument, match="swap limit without memory limit"):
        writes({"memory": {"swap": 300}}, True)


def test_processor() -> None:
    limits = {"cpu": {"shares": 1024, "quota": 50_000, "period": 200_000, "cpus": "0-1", "mems": "0"}}
    assert made(limits, False) == {
        "cpu.shares": "1024", "cpu.cfs_period_us": "200000", "cpu.cfs_quota_us": "50000",
        "cpuset.cpus": "0-1", "cpuset.mems": "0",
    }  # fmt: skip
    assert made(limits, True) == {
        "cpu.weight": "100",
        "cpu.max": "50000 200000",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
    }


@pytest.mark.parametrize(
    ("cpu", "now", "then"),
    [
        ({"quota": 7000}, "max 100000\n", "7000 100000"),
        ({"quota": -1}, "7000 50000\n", "max 50000"),
        ({"period": 20_000}, "7000 50000\n", "7000 20000"),
        ({"quota": 7000}, "", "7000 100000"),
    ],
)
def test_the_other_half_of_the_bandwidth_stays_on_v2(cpu: dict[str, int], now: str, then: str) -> None:
    assert made({"cpu": cpu}, True, now) == {"cpu.max": then}


def test_real_time_is_of_v1() -> None:
    assert made({"cpu": {"realtimeRuntime": 5}}, False) == {"cpu.rt_runtime_us": "5"}
    with pytest.raises(InvalidArgument, match="real-time"):
        writes({"cpu": {"realtimeRuntime": 5}}, True)


def test_weights_meet_both_ends_and_the_default() -> None:
    assert [weight(shares) for shares in (0, 2, 1024, 262_144, 1 << 30)] == [1, 1, 100, 10_000, 10_000]
    assert weight(512) < weight(1024) < weight(2048)


def test_block_devices() -> None:
    device = {"major": 8, "minor": 0}
    limits = {
        "blockIO": {
            "weight": 500,
            "weightDevice": [device | {"weight": 20}],
            "throttleReadBpsDevice": [device | {"rate": 1000}],
            "throttleWriteIOPSDevice": [device | {"rate": 0}],
        }
    }
    assert made(limits, False) == {
        "blkio.weight": "500",
        "blkio.weight_device": "8:0 20",
        "blkio.throttle.read_bps_device": "8:0 1000",
        "blkio.throttle.write_iops_device": "8:0 0",
    }
    texts = [(write.names[0], write.text) for write in writes(limits, True)]
    assert texts == [
        ("io.bfq.weight", "500"), ("io.weight", "4950"), ("io.bfq.weight", "8:0 20"),
        ("io.max", "8:0 rbps=1000"), ("io.max", "8:0 wiops=max"),
    ]  # fmt: skip
