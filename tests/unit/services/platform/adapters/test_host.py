"""Facts for `docker info`, of the machine that runs the tests."""

from __future__ import annotations

import os

from tests.support.platform_host import Host


async def test_the_machine_is_described(host: Host) -> None:
    info = await host.linux.host()
    assert info.kernel_version == os.uname().release
    assert info.cpus == len(os.sched_getaffinity(0))
    assert info.memory_bytes > 64 << 20
    assert info.operating_system.startswith("Debian")
    assert info.cgroup_version == ("2" if host.linux.cgroups.v2 else "1")
    assert info.runtimes["crun"]
    assert info.runtimes["io.containerd.runc.v2"] == info.runtimes[info.default_runtime]
    assert info.runtime_version[0].isdigit()
    assert info.monitor_version[0].isdigit()
    assert info.features["pids_limit"]
    assert "name=seccomp,profile=builtin" in info.security_options


async def test_the_tools_are_asked_once(host: Host) -> None:
    first, again = await host.linux.host(), await host.linux.host()
    assert first.runtimes is again.runtimes
