"""What this host can do in a move."""

from __future__ import annotations

import os
from pathlib import Path

from shared import cluster, ids
from shared.config import Settings
from shared.contracts.migration_driver import MoveHost

from .criu import Criu


def read(settings: Settings, program: Criu, architecture: str, v2: bool) -> MoveHost:
    """Blocking."""
    return MoveHost(
        node=ids.node_id(settings.state_path),
        criu=program.version(),
        kernel=os.uname().release,
        architecture=architecture,
        processor=processor(Path("/proc/cpuinfo")),
        cgroup_version="2" if v2 else "1",
        lazy_pages=Path("/proc/sys/vm/unprivileged_userfaultfd").exists(),  # there where userfaultfd(2) is built in
        clustered=cluster.load(settings.state_path) is not None,
        memory_available=memory_available(Path("/proc/meminfo")),
    )


def memory_available(path: Path) -> int:
    """Bytes."""
    fields = [line.split() for line in path.read_text().splitlines() if line.startswith("MemAvailable:")]
    return int(fields[0][1]) << 10 if fields else 0


def processor(path: Path) -> tuple[str, ...]:
    """Features that every processor has; `flags` on amd64, `Features` on arm64."""
    lines = [line.partition(":") for line in path.read_text().splitlines()]
    found = [set(words.split()) for name, _, words in lines if name.strip() in ("flags", "Features")]
    return tuple(sorted(set.intersection(*found))) if found else ()
