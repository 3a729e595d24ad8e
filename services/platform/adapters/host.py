"""Facts of the host for `docker info`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from shared.config import Settings
from shared.contracts.common import Platform
from shared.contracts.platform import HostInfo

from ..domain import host, journal
from ..domain.facts import Facts
from .cgroup import Cgroups
from .runtime import ALIASES, Runtimes

VERSION_SECONDS = 5.0


def read(settings: Settings, facts: Facts, cgroups: Cgroups, runtimes: Runtimes, monitor: str) -> HostInfo:
    """All facts. Runs the tools once for their versions: keep the answer."""
    name, version = host.operating_system(_text("/etc/os-release") or _text("/usr/lib/os-release"))
    found = host.features(
        cgroups.v2,
        cgroups.controllers(),
        swap=cgroups.counts_swap(),
        real_time=cgroups.real_time(),
        ipv4_forwarding=_text("/proc/sys/net/ipv4/ip_forward").strip() == "1",
    )
    default = runtimes.get("")
    return HostInfo(
        platform=Platform(os="linux", architecture=facts.architecture),
        kernel_version=os.uname().release,
        operating_system=name,
        os_version=version,
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=host.memory_total(_text("/proc/meminfo")),
        cgroup_version="2" if cgroups.v2 else "1",
        security_options=_security(cgroups.v2),
        runtimes={**dict.fromkeys(filter(None, ALIASES), default.program), **runtimes.names()},
        default_runtime=settings.default_runtime,
        runtime_version=_version(default.program),
        monitor_version=_version(monitor),
        init_version=_version(facts.init_path) if facts.init_path else "",
        log_drivers=_log_drivers(),
        features=found,
        warnings=host.warnings(found),
    )


def _log_drivers() -> tuple[str, ...]:
    return ("json-file", "local", "syslog", *(("journald",) if Path(journal.SOCKET).exists() else ()))


def _security(v2: bool) -> tuple[str, ...]:
    options = ["name=seccomp,profile=builtin"]
    if Path("/sys/kernel/security/apparmor/profiles").exists():
        options.insert(0, "name=apparmor")
    return (*options, "name=cgroupns") if v2 else tuple(options)


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return host.version(done.stdout)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
