"""Usage figures in Docker's form."""

from __future__ import annotations

from services.platform.domain.stats import interfaces, sample, system_time

V2 = {
    "cpu.stat": "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 4\nnr_throttled 2\nthrottled_usec 5\n",
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.stat": "anon 1\ninactive_file 2\nzswap 3\n",
    "memory.events": "low 0\nmax 3\noom 2\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n252:1 \n",
    "pids.current": "3\n",
    "pids.max": "max\n",
}
V1 = {
    "cpuacct.usage": "300\n",
    "cpuacct.usage_percpu": "100 200 \n",
    "cpuacct.stat": "user 1\nsystem 2\n",
    "cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 5\n",
    "memory.usage_in_bytes": "4096\n",
    "memory.max_usage_in_bytes": "8192\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.failcnt": "1\n",
    "memory.stat": "cache 1\nswap 5\n",
    "blkio.throttle.io_service_bytes": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
}


def test_v2() -> None:
    made = sample(V2, True, 77, 2, 1 << 30)
    assert made["cpu_stats"] == {
        "cpu_usage": {"total_usage": 30_000, "usage_in_kernelmode": 20_000, "usage_in_usermode": 10_000},
        "throttling_data": {"periods": 4, "throttled_periods": 2, "throttled_time": 5000},
        "system_cpu_usage": 77,
        "online_cpus": 2,
    }
    memory = made["memory_stats"]
    assert {name: value for name, value in memory.pop("stats").items() if value} == {"anon": 1, "inactive_file": 2}
    assert memory == {"usage": 4096, "limit": 1 << 30, "failcnt": 2}
    assert made["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 8, "minor": 0, "op": "read", "value": 10},
        {"major": 8, "minor": 0, "op": "write", "value": 20},
    ]
    assert made["pids_stats"] == {"current": 3}


def test_v1() -> None:
    made = sample(V1, False, 77, 2, 1 << 30)
    assert made["cpu_stats"]["cpu_usage"] == {
        "total_usage": 300, "percpu_usage": [100, 200],
        "usage_in_kernelmode": 20_000_000, "usage_in_usermode": 10_000_000,
    }  # fmt: skip
    assert made["memory_stats"]["limit"] == 1 << 30
    assert made["memory_stats"]["max_usage"] == 8192
    assert made["memory_stats"]["failcnt"] == 1
    assert made["memory_stats"]["stats"].keys() >= {"cache", "total_inactive_file", "hierarchical_memory_limit"}
    assert "swap" not in made["memory_stats"]["stats"]
    assert made["blkio_stats"]["sectors_recursive"] == []
    assert [entry["op"] for entry in made["blkio_stats"]["io_service_bytes_recursive"]] == ["Read", "Write"]
    assert made["pids_stats"] == {"current": 3, "limit": 100}


def test_a_host_without_any_controller_has_zeros() -> None:
    for v2 in (False, True):
        made = sample({}, v2, 0, 1, 5)
        assert made["memory_stats"]["usage"] == 0
        assert made["cpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_the_hosts_time_leaves_out_what_guests_had() -> None:
    assert system_time("cpu  1 2 3 4 5 6 7 8 900 900\ncpu0 1\n") == 36 * 10_000_000


NET_DEV = """Inter-|   Receive         |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo:     500       5    0    0    0     0     0     0      500       5    0    0    0     0    0    0
  eth0:     486       6    1    2    0     0     0     0      100       3    4    5    0     0    0    0
dummy0:       9       9    9    9    0     0     0     0        9       9    9    9    0     0    0    0
"""


def test_interfaces() -> None:
    assert interfaces(NET_DEV) == {
        "eth0": {
            "rx_bytes": 486, "rx_packets": 6, "rx_errors": 1, "rx_dropped": 2,
            "tx_bytes": 100, "tx_packets": 3, "tx_errors": 4, "tx_dropped": 5,
        }
    }  # fmt: skip
    assert interfaces("") == {}
