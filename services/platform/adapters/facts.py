"""Reading the host's facts that the decisions need."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from pathlib import Path

from shared.config import Settings

from ..domain.capabilities import from_mask
from ..domain.facts import Facts
from .cgroup import Cgroups
from .runtime import program

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
INIT_NAMES = ("docker-init", "tini-static", "catatonit")
"""Small static init programs that take `-- command`; the first that the host has is used for --init."""


def read(settings: Settings, cgroups: Cgroups) -> Facts:
    """All facts, by a few small files."""
    bounding = _bounding()
    return Facts(
        cgroup_v2=cgroups.v2,
        limits_pids="pids" in cgroups.controllers(),
        bounding=bounding,
        architecture=architecture(),
        kernel=_kernel(),
        hard_limits=_hard_limits(),
        open_files=raise_open_files(),
        raise_limits="CAP_SYS_RESOURCE" in bounding,
        init_path=next((path for name in INIT_NAMES if (path := init_program(settings, name))), ""),
        masked_extra=tuple(str(path) for path in sorted(Path("/sys/devices/system/cpu").glob("cpu*/thermal_throttle"))),
    )


def architecture() -> str:
    """The host's, in Go's words as OCI has them."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def init_program(settings: Settings, name: str) -> str:
    """Path of an init program; in the private prefix it lies beside the runtime."""
    return program(settings, name) or shutil.which(name, path="/usr/libexec/podman:/usr/libexec/docker") or ""


def _bounding() -> frozenset[str]:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return from_mask(int(line.split()[1], 16))
    return frozenset()


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def raise_open_files() -> tuple[int, int]:
    """Lets this process open as many files as it may; the soft and hard limit before, for workloads to keep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _hard_limits() -> dict[str, int]:
    names = (name for name in dir(resource) if name.startswith("RLIMIT_"))
    return {name: resource.getrlimit(getattr(resource, name))[1] for name in names}
