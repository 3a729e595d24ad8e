"""Docker's `ContainerStatsResponse`."""

from __future__ import annotations

from typing import Any

from shared.clock import rfc3339
from shared.contracts.platform import Sample

from ..http.version import Version

_NO_CPU: dict[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
_BLKIO = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip
_NOTHING: dict[str, Any] = {
    "pids_stats": {},
    "blkio_stats": dict.fromkeys(_BLKIO),
    "num_procs": 0,
    "storage_stats": {},
    "cpu_stats": _NO_CPU,
    "memory_stats": {},
}
"""Of a container that does not run."""


def response(id: str, name: str, sample: Sample | None, before: Sample | None, version: Version) -> dict[str, Any]:
    """One answer; the rates are the differences to `before`. Without a sample: a container that does not run."""
    raw = sample.raw if sample is not None else _NOTHING
    return {
        "name": f"/{name}",
        "id": id,
        **({"os_type": "linux"} if version >= (1, 52) else {}),
        "read": rfc3339(sample.read if sample else 0),
        "preread": rfc3339(before.read if before else 0),
        **raw,
        "precpu_stats": before.raw["cpu_stats"] if before else _NO_CPU,
    }
