"""`docker update`: limits of containers that run, are paused, or have not begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine

PURE_V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


def limit(engine: Engine, name: str, v1: str, v2: str) -> str:
    """What a container's own cgroup says."""
    return engine.ok("exec", name, "cat", f"/sys/fs/cgroup/{v2 if PURE_V2 else v1}").strip()


def test_limits_of_what_runs(engine: Engine) -> None:
    name = engine.start("-m", "64m", IMAGE, "sleep", "1000")
    flags = ("-m", "256m", "--memory-swap", "512m", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0")
    assert engine.ok("update", *flags, "--pids-limit", "33", name).strip() == name
    assert limit(engine, name, "memory/memory.limit_in_bytes", "memory.max") == str(256 << 20)
    assert limit(engine, name, "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert limit(engine, name, "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
    assert limit(engine, name, "pids/pids.max", "pids.max") == "33"
    host = engine.inspect(name)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (
        256 << 20, 512 << 20, 500_000_000, 33,
    )  # fmt: skip
    engine.ok("update", "-m", "32m", name)
    engine.ok("restart", "-t", "0", name)
    assert limit(engine, name, "memory/memory.limit_in_bytes", "memory.max") == str(32 << 20)


def test_limits_of_what_has_not_begun_or_is_paused(engine: Engine) -> None:
    engine.ok("create", "--name", "made", IMAGE, "sleep", "1000")
    engine.ok("update", "--pids-limit", "44", "made")
    engine.ok("start", "made")
    assert limit(engine, "made", "pids/pids.max", "pids.max") == "44"
    engine.ok("pause", "made")
    engine.ok("update", "--pids-limit", "-1", "made")
    engine.ok("unpause", "made")
    if not PURE_V2 or engine.ok("exec", "made", "cat", "/sys/fs/cgroup/pids.max"):
        assert limit(engine, "made", "pids/pids.max", "pids.max") == "max"


def test_the_restart_policy(engine: Engine) -> None:
    name = engine.start("--restart", "always", IMAGE, "sh", "-c", "sleep 0.2")
    engine.ok("update", "--restart", "no", name)
    engine.ok("wait", name)
    assert engine.inspect(name)["HostConfig"]["RestartPolicy"]["Name"] == "no"


def test_it_is_told(engine: Engine) -> None:
    made = engine.ok("create", IMAGE, "true")
    engine.ok("update", "--cpu-shares", "100", made)
    now = engine.ok("info", "--format", "{{.SystemTime}}")  # "0s" would be the last whole second to the CLI
    only = ("--filter", f"container={made}", "--filter", "event=update")
    assert engine.ok("events", "--since", "1m", "--until", now, *only, "--format", "{{.Action}}") == "update"


@pytest.mark.parametrize(
    ("made", "body", "status", "text"),
    [
        ({}, {"Memory": 1000}, 400, "Minimum memory limit allowed is 6MB"),
        (
            {"Memory": 64 << 20, "MemorySwap": 64 << 20},
            {"Memory": 65 << 20},
            409,
            "smaller than already set memoryswap",
        ),
        (
            {"NanoCpus": 10**9},
            {"CpuQuota": 50_000},
            409,
            "CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        ({}, {"CpusetCpus": "0-4095"}, 400, "Requested CPUs are not available"),
        ({"AutoRemove": True}, {"RestartPolicy": {"Name": "always"}}, 409, "AutoRemove is enabled"),
    ],
)
def test_what_is_refused(
    engine: Engine, made: dict[str, object], body: dict[str, object], status: int, text: str
) -> None:
    name = engine.call("POST", "/containers/create", {"Image": IMAGE, "HostConfig": made}).json["Id"]
    before = engine.inspect(name)["HostConfig"]
    answer = engine.call("POST", f"/containers/{name}/update", body)
    assert (answer.status, text in answer.message) == (status, True), answer.message
    assert engine.inspect(name)["HostConfig"] == before
