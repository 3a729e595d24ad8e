"""Facts of the machine that runs the tests."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import msgspec

from services.platform.adapters import facts
from services.platform.adapters.cgroup import Cgroups
from services.platform.domain.capabilities import KNOWN
from shared.config import Settings


def test_what_the_kernel_says(directory: Path) -> None:
    (directory / "cgroup.controllers").write_text("cpu memory\n")
    found = facts.read(Settings(), Cgroups(directory))
    mask = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in line)
    assert sum(1 << KNOWN.index(name) for name in found.bounding) == int(mask, 16)
    assert found.raise_limits is ("CAP_SYS_RESOURCE" in found.bounding)
    assert f"{found.kernel[0]}.{found.kernel[1]}" in os.uname().release
    assert found.hard_limits["RLIMIT_NOFILE"] == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert (found.cgroup_v2, found.limits_pids) == (True, False)


def test_the_platform_may_open_as_many_files_as_it_can() -> None:
    soft, hard = facts.raise_open_files()
    assert soft <= hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_the_private_prefix_comes_first(directory: Path) -> None:
    init = directory / "bin/docker-init"
    init.parent.mkdir()
    init.write_text("#!/bin/sh\n")
    init.chmod(0o755)
    settings = msgspec.structs.replace(Settings(), runtime_prefix=str(directory))
    assert facts.read(settings, Cgroups()).init_path == str(init)
