"""Limits: Docker's arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.resources import DEFAULT_PIDS, PERIOD_US, cpu, memory, pids, resources
from shared.contracts.container import Resources, ThrottleDevice, WeightDevice


def numbers(path: str) -> tuple[int, int]:
    return {"/dev/sda": (8, 0), "/dev/sdb": (8, 16)}[path]


def test_nothing_asked_for_limits_only_the_processes() -> None:
    assert resources(Resources(), numbers) == {"pids": {"limit": DEFAULT_PIDS}}


@pytest.mark.parametrize(("asked", "limit"), [(None, DEFAULT_PIDS), (0, -1), (-1, -1), (-2, -1), (7, 7)])
def test_the_number_of_processes(asked: int | None, limit: int) -> None:
    assert pids(Resources(pids_limit=asked)) == {"limit": limit}


@given(st.integers(1, 1 << 40))
def test_swap_is_as_much_as_memory_unless_said(limit: int) -> None:
    assert memory(Resources(memory=limit)) == {"limit": limit, "swap": 2 * limit}
    assert memory(Resources(memory=limit, memory_swap=-1))["swap"] == -1
    assert memory(Resources(memory=limit, memory_swap=limit))["swap"] == limit


def test_memory_has_more_to_say() -> None:
    asked = Resources(memory_reservation=5, memory_swappiness=0, oom_kill_disable=True)
    assert memory(asked) == {"reservation": 5, "swappiness": 0, "disableOOMKiller": True}
    assert memory(Resources(memory_swappiness=-1)) == {}


@given(st.integers(10_000_000, 64_000_000_000))
def test_cpus_are_a_share_of_the_period(nano: int) -> None:
    part = cpu(Resources(nano_cpus=nano))
    assert part["period"] == PERIOD_US
    assert abs(part["quota"] / part["period"] - nano / 1e9) < 1e-5


def test_cpu_by_its_own_words() -> None:
    asked = Resources(cpu_shares=512, cpu_period=50_000, cpu_quota=-1, cpuset_cpus="0-1", cpuset_mems="0")
    assert cpu(asked) == {"shares": 512, "period": 50_000, "quota": -1, "cpus": "0-1", "mems": "0"}


def test_devices_are_named_by_number() -> None:
    asked = Resources(
        blkio_weight=300,
        blkio_weight_device=(WeightDevice(path="/dev/sda", weight=5),),
        blkio_device_read_bps=(ThrottleDevice(path="/dev/sdb", rate=9),),
        blkio_device_write_iops=(ThrottleDevice(path="/dev/sda", rate=3),),
    )
    assert resources(asked, numbers)["blockIO"] == {
        "weight": 300,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 5}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 9}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 3}],
    }
