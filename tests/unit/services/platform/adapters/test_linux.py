"""The parts put together."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shared.errors import InvalidArgument
from tests.support.platform_host import Host


async def test_folders_are_closed_to_others(host: Host) -> None:
    run, state = Path(host.settings.run_dir), Path(host.settings.state_dir)
    for folder in (run / "platform/workloads", run / "platform/roots", state / "platform/logs"):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o027 == 0


async def test_what_docker_refuses_early_is_refused_early(host: Host) -> None:
    assert host.linux.check(host.request("true")) is None  # type: ignore[func-returns-value]
    with pytest.raises(InvalidArgument, match="unknown or invalid runtime name: nort"):
        host.linux.check(host.request("true", runtime="nort"))
    with pytest.raises(InvalidArgument, match="unknown capability"):
        host.linux.check(host.request("true", process_cap_add=("FOO",)))


async def test_the_engines_rules_hold_inside(host: Host) -> None:
    script = (
        "grep -E 'CapBnd|Seccomp:' /proc/self/status; cat /proc/keys; echo x > /proc/sys/kernel/hostname; "
        "ls /sys/firmware; grep -c . /proc/self/mountinfo > /dev/null; test -e /.dockerenv && echo marked"
    )
    output = await host.output("sh", "-c", script)
    assert b"CapBnd:\t00000000a80425fb" in output
    assert b"Seccomp:\t2" in output
    assert b"Read-only file system" in output
    assert b"marked" in output
