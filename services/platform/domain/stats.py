"""Usage of a workload: the control groups' files to Docker's `ContainerStatsResponse`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Files = Mapping[str, str]
"""Text by file name; what the host does not have is missing."""
_NS = 10_000_000
"""Nanoseconds in a tick of USER_HZ (100, fixed in the ABI)."""
FILES_V2 = (
    "cpu.stat", "memory.current", "memory.max", "memory.stat", "memory.events", "io.stat", "pids.current", "pids.max",
)  # fmt: skip
FILES_V1 = {
    "cpuacct": ("cpuacct.usage", "cpuacct.usage_percpu", "cpuacct.stat"),
    "cpu": ("cpu.stat",),
    "memory": (
        "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.failcnt", "memory.stat",
    ),
    "blkio": (
        "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive",
        "blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced",
    ),
    "pids": ("pids.current", "pids.max"),
}  # fmt: skip


def sample(files: Files, v2: bool, system_ns: int, cpus: int, memory_total: int) -> dict[str, Any]:
    """One sample in Docker's form, times left to the caller. `system_ns`: CPU time of the whole host."""
    cpu = (_cpu_v2 if v2 else _cpu_v1)(files) | {"system_cpu_usage": system_ns, "online_cpus": cpus}
    return {
        "cpu_stats": cpu,
        "memory_stats": (_memory_v2 if v2 else _memory_v1)(files, memory_total),
        "blkio_stats": _blkio_v2(files) if v2 else _blkio_v1(files),
        "pids_stats": _pids(files),
        "num_procs": 0,
        "storage_stats": {},
    }


def system_time(proc_stat: str) -> int:
    """CPU time of the host in nanoseconds: user to softirq and steal of the first line of /proc/stat."""
    fields = proc_stat.splitlines()[0].split()
    return sum(int(field) for field in fields[1:9]) * _NS


def _number(text: str | None, default: int = 0) -> int:
    text = (text or "").strip()
    return int(text) if text.isdigit() else default


def _table(text: str | None) -> dict[str, int]:
    """Lines of `name number`."""
    return {
        fields[0]: int(fields[1])
        for line in (text or "").splitlines()
        if len(fields := line.split()) == 2 and fields[1].isdigit()
    }


def _throttling(table: Mapping[str, int], total_ns: int) -> dict[str, int]:
    return {
        "periods": table.get("nr_periods", 0),
        "throttled_periods": table.get("nr_throttled", 0),
        "throttled_time": total_ns,
    }


def _cpu_v2(files: Files) -> dict[str, Any]:
    table = _table(files.get("cpu.stat"))
    return {
        "cpu_usage": {
            "total_usage": table.get("usage_usec", 0) * 1000,
            "usage_in_kernelmode": table.get("system_usec", 0) * 1000,
            "usage_in_usermode": table.get("user_usec", 0) * 1000,
        },
        "throttling_data": _throttling(table, table.get("throttled_usec", 0) * 1000),
    }


def _cpu_v1(files: Files) -> dict[str, Any]:
    ticks, table = _table(files.get("cpuacct.stat")), _table(files.get("cpu.stat"))
    return {
        "cpu_usage": {
            "total_usage": _number(files.get("cpuacct.usage")),
            "percpu_usage": [int(field) for field in files.get("cpuacct.usage_percpu", "").split()],
            "usage_in_kernelmode": ticks.get("system", 0) * _NS,
            "usage_in_usermode": ticks.get("user", 0) * _NS,
        },
        "throttling_data": _throttling(table, table.get("throttled_time", 0)),
    }


_MEMORY_V1 = (
    "cache", "rss", "rss_huge", "mapped_file", "dirty", "writeback", "pgpgin", "pgpgout", "pgfault", "pgmajfault",
    "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable",
)  # fmt: skip
"""Each also with `total_` before it, for the group and those below."""
_LIMITS_V1 = ("hierarchical_memory_limit", "hierarchical_memsw_limit")
_MEMORY_V2 = (
    "anon", "file", "kernel_stack", "slab", "sock", "shmem", "file_mapped", "file_dirty", "file_writeback", "anon_thp",
    "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable",
    "slab_unreclaimable", "pgfault", "pgmajfault", "workingset_refault", "workingset_activate",
    "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal", "pgactivate", "pgdeactivate", "pglazyfree",
    "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc",
)  # fmt: skip


def _memory_v2(files: Files, total: int) -> dict[str, Any]:
    table = _table(files.get("memory.stat"))
    return {
        "usage": _number(files.get("memory.current")),
        "stats": {name: table.get(name, 0) for name in _MEMORY_V2},
        "limit": min(_number(files.get("memory.max"), total), total),
        **_if_any(failcnt=_table(files.get("memory.events")).get("oom", 0)),
    }


def _memory_v1(files: Files, total: int) -> dict[str, Any]:
    table = _table(files.get("memory.stat"))
    names = (*_MEMORY_V1, *_LIMITS_V1, *(f"total_{name}" for name in _MEMORY_V1))
    return {
        "usage": _number(files.get("memory.usage_in_bytes")),
        "max_usage": _number(files.get("memory.max_usage_in_bytes")),
        "stats": {name: table.get(name, 0) for name in names},
        "limit": min(_number(files.get("memory.limit_in_bytes"), total), total),
        **_if_any(failcnt=_number(files.get("memory.failcnt"))),
    }


def _if_any(**values: int) -> dict[str, int]:
    """Go's omitempty."""
    return {name: value for name, value in values.items() if value}


_COUNTERS = ("bytes", "packets", "errors", "dropped")


def interfaces(net_dev: str) -> dict[str, dict[str, int]]:
    """Counters of a sandbox's interfaces (/proc/net/dev); its loopback and what its programs made are left out."""
    answer = {}
    for line in net_dev.splitlines()[2:]:
        name, _, text = line.partition(":")
        name, values = name.strip(), [int(value) for value in text.split()]
        if name.startswith("eth") and len(values) >= 12:
            received, sent = zip(_COUNTERS, values[:4], strict=True), zip(_COUNTERS, values[8:12], strict=True)
            answer[name] = {f"rx_{what}": n for what, n in received} | {f"tx_{what}": n for what, n in sent}
    return answer


_BLKIO_LISTS = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip


def _blkio_v1(files: Files) -> dict[str, Any]:
    answer: dict[str, Any] = {name: [] for name in _BLKIO_LISTS}
    for name, stem in (("io_service_bytes_recursive", "io_service_bytes"), ("io_serviced_recursive", "io_serviced")):
        text = files.get(f"blkio.throttle.{stem}_recursive") or files.get(f"blkio.throttle.{stem}")
        answer[name] = [
            _entry(fields[0], fields[1], int(fields[2]))
            for line in (text or "").splitlines()
            if len(fields := line.split()) == 3
        ]
    return answer


def _blkio_v2(files: Files) -> dict[str, Any]:
    answer: dict[str, Any] = dict.fromkeys(_BLKIO_LISTS, None)
    counted: list[dict[str, Any]] = []
    for line in files.get("io.stat", "").splitlines():
        device, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        for key, operation in (("rbytes", "read"), ("wbytes", "write")):
            if values.get(key, "").isdigit():
                counted.append(_entry(device, operation, int(values[key])))
    answer["io_service_bytes_recursive"] = counted or None
    return answer


def _entry(device: str, operation: str, value: int) -> dict[str, Any]:
    major, _, minor = device.partition(":")
    return {"major": int(major), "minor": int(minor), "op": operation, "value": value}


def _pids(files: Files) -> dict[str, int]:
    return _if_any(current=_number(files.get("pids.current")), limit=_number(files.get("pids.max")))
