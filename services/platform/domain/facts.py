"""What the decisions must know of the host."""

from __future__ import annotations

import msgspec


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Read once at start; they do not change while the host runs.

    `bounding` is the capability set that the engine itself holds: nobody can be given more. `hard_limits` maps
    `RLIMIT_*` names to the engine's own hard limits (-1: none), which bind unless `raise_limits`.
    """

    cgroup_v2: bool = True
    limits_pids: bool = True
    """Whether control groups here count processes: a runtime refuses a limit that the host cannot keep."""
    bounding: frozenset[str] = frozenset()
    architecture: str = "amd64"
    kernel: tuple[int, int] = (6, 1)
    hard_limits: dict[str, int] = {}
    raise_limits: bool = False
    open_files: tuple[int, int] | None = None
    """RLIMIT_NOFILE as the engine was started with it: what a workload gets that asks for nothing."""
    init_path: str = ""
    masked_extra: tuple[str, ...] = ()
    """Host-dependent paths that are masked with the fixed ones (thermal throttle counters of each CPU)."""
