from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.validation import Host
from services.executor.domain.validation.resources import check_resources
from shared.contracts.container import HostConfig, ThrottleDevice, Ulimit
from shared.errors import InvalidArgument
from tests.support.simulators.host.platform import HOST

MB = 1 << 20


def host(**features: bool) -> Host:
    return Host(
        msgspec.structs.replace(HOST, features=features), {"/dev/null", "/sys/devices/system/node/node1"}.__contains__
    )


def test_real_time_where_the_kernel_gives_it() -> None:
    asked = HostConfig(cpu_realtime_period=1000, cpu_realtime_runtime=500)
    assert check_resources(asked, host(cpu_realtime=True))[0] == asked
    with pytest.raises(InvalidArgument, match="cpu real-time runtime cannot be higher than cpu real-time period"):
        check_resources(HostConfig(cpu_realtime_period=500, cpu_realtime_runtime=501), host(cpu_realtime=True))


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            {"cpuset_mems": "0-2"},
            "Requested memory nodes are not available - requested 0-2, available: 0,1",
        ),
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -5}, "Minimum memory limit allowed is 6MB"),
        (
            {"memory": 8 * MB, "memory_swap": 7 * MB},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            {"memory": 8 * MB, "memory_swap": -5},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        ({"memory_swap": 8 * MB}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        ({"memory_swappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
        ({"memory_reservation": 1}, "Minimum memory reservation allowed is 6MB"),
        (
            {"memory": 8 * MB, "memory_reservation": 9 * MB},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            {"nano_cpus": 3_000_000_000},
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        ({"nano_cpus": -1}, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        ({"nano_cpus": 1, "cpu_period": 5000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        ({"nano_cpus": 1, "cpu_quota": 5000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (
            {"cpu_period": 10},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"cpu_shares": -1}, "invalid CPU shares (-1): value must be a positive integer"),
        ({"cpu_realtime_period": 1}, "kernel does not support CPU real-time scheduler"),
        ({"cpuset_cpus": "0-7"}, "Requested CPUs are not available - requested 0-7, available: 0-1"),
        ({"cpuset_cpus": "a"}, "Invalid value a for cpuset cpus: invalid format: a"),
        ({"cpuset_mems": "1-0"}, "Invalid value 1-0 for cpuset mems: invalid format: 1-0"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"blkio_device_read_bps": (ThrottleDevice(path="/x", rate=1),)}, "stat /x: no such file or directory"),
        ({"ulimits": (Ulimit(name="fish", soft=1, hard=1),)}, "invalid ulimit type: fish"),
        (
            {"ulimits": (Ulimit(name="nofile", soft=2, hard=1),)},
            "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
        ),
    ],
)
def test_refused_in_dockers_words(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_resources(HostConfig(**asked), host())
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("asked", "missing", "field", "left"),
    [
        ({"memory": 8 * MB}, "memory_limit", "memory", 0),
        ({"memory": 8 * MB}, "swap_limit", "memory_swap", -1),
        ({"memory_swappiness": 5}, "memory_swappiness", "memory_swappiness", None),
        ({"memory_reservation": 8 * MB}, "memory_reservation", "memory_reservation", 0),
        ({"oom_kill_disable": True}, "oom_kill_disable", "oom_kill_disable", False),
        ({"pids_limit": 5}, "pids_limit", "pids_limit", None),
        ({"cpu_shares": 5}, "cpu_shares", "cpu_shares", 0),
        ({"cpu_quota": 5000}, "cpu_cfs_period", "cpu_quota", 0),
        ({"cpuset_cpus": "0"}, "cpu_set", "cpuset_cpus", ""),
        ({"blkio_weight": 50}, "blkio_weight", "blkio_weight", 0),
    ],
)
def test_what_the_kernel_lacks_is_left_out_with_a_warning(
    asked: dict[str, Any], missing: str, field: str, left: object
) -> None:
    made, warnings = check_resources(HostConfig(**asked), host(**{missing: False}))
    assert getattr(made, field) == left
    assert len(warnings) == 1
    assert warnings[0].endswith("iscarded.") or "without swap" in warnings[0]


def test_without_the_cpu_controller_there_are_no_cpus_to_give() -> None:
    with pytest.raises(InvalidArgument, match="NanoCPUs can not be set"):
        check_resources(HostConfig(nano_cpus=1), host(cpu_cfs_quota=False))


def test_what_is_fine_stays() -> None:
    asked = HostConfig(
        memory=8 * MB, memory_swap=-1, memory_swappiness=-1, nano_cpus=1_500_000_000, pids_limit=0, cpuset_cpus="0,1",
        ulimits=(Ulimit(name="nofile", soft=1, hard=-1),),
    )  # fmt: skip
    made, warnings = check_resources(asked, host())
    assert warnings == []
    assert made == msgspec.structs.replace(asked, memory_swappiness=None)
    assert check_resources(HostConfig(pids_limit=-1), host(pids_limit=False)) == (HostConfig(pids_limit=0), [])


numbers = st.integers(-(1 << 40), 1 << 40)


@given(memory=numbers, swap=numbers, cpus=numbers, cpuset=st.text("0123,-x", max_size=6))
def test_any_numbers_are_taken_or_refused(memory: int, swap: int, cpus: int, cpuset: str) -> None:
    asked = HostConfig(memory=memory, memory_swap=swap, nano_cpus=cpus, cpuset_cpus=cpuset)
    try:
        made, _ = check_resources(asked, host())
    except InvalidArgument:
        return
    assert made.memory == 0 or made.memory >= 6 * MB
    assert made.memory_swap <= 0 or made.memory_swap >= made.memory > 0
    assert 0 <= made.nano_cpus <= 2_000_000_000
