"""Limits, as the kernel holds them: cgroup v1 and v2."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine

PURE_V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
# what is set: file and content in v1, and in v2
FILES: Mapping[str, tuple[str, str]] = {
    "memory": ("memory/memory.limit_in_bytes", "memory.max"),
    "pids": ("pids/pids.max", "pids.max"),
    "cpuset": ("cpuset/cpuset.cpus", "cpuset.cpus"),
}


def setting(engine: Engine, name: str, *arguments: str) -> str:
    """What the container's own cgroup says."""
    file = FILES[name][1 if PURE_V2 else 0]
    return engine.run(*arguments, IMAGE, "cat", f"/sys/fs/cgroup/{file}")


def test_memory(engine: Engine) -> None:
    assert setting(engine, "memory", "-m", "64m") == str(64 << 20)


def test_memory_reservation_and_swap(engine: Engine) -> None:
    engine.ok("create", "--name", "res", "-m", "64m", "--memory-reservation", "32m", "--memory-swap", "128m", IMAGE)
    host = engine.inspect("res")["HostConfig"]
    assert (host["Memory"], host["MemoryReservation"], host["MemorySwap"]) == (64 << 20, 32 << 20, 128 << 20)


def test_memory_without_swap_is_twice_the_limit(engine: Engine) -> None:
    engine.ok("create", "--name", "res", "-m", "64m", IMAGE)
    assert engine.inspect("res")["HostConfig"]["MemorySwap"] in (128 << 20, 0)


def test_too_much_memory_ends_the_container(engine: Engine) -> None:
    engine.docker("run", "--name", "fat", "-m", "8m", IMAGE, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")
    state = engine.inspect("fat")["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)


def test_pids_limit(engine: Engine) -> None:
    assert setting(engine, "pids", "--pids-limit", "33") == "33"
    result = engine.docker(
        "run", "--rm", "--pids-limit", "5", IMAGE, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait"
    )
    assert "can't fork" in result.err
    assert setting(engine, "pids", "--pids-limit", "-1") == "max"
    engine.ok("create", "--name", "many", "--pids-limit", "-1", IMAGE)
    assert engine.inspect("many")["HostConfig"]["PidsLimit"] in (0, None)


def test_cpuset(engine: Engine) -> None:
    assert setting(engine, "cpuset", "--cpuset-cpus", "0") == "0"
    assert engine.run("--cpuset-cpus", "0", IMAGE, "grep", "Cpus_allowed_list", "/proc/self/status").split()[1] == "0"


@pytest.mark.parametrize(("flags", "quota"), [(["--cpus", "0.5"], 50_000), (["--cpu-quota", "30000"], 30_000)])
def test_cpu_quota(engine: Engine, flags: list[str], quota: int) -> None:
    if PURE_V2:
        assert engine.run(*flags, IMAGE, "cat", "/sys/fs/cgroup/cpu.max").split() == [str(quota), "100000"]
        return
    found = engine.run(
        *flags, IMAGE, "cat", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"
    )
    assert found.split() == [str(quota), "100000"]


def test_cpu_shares(engine: Engine) -> None:
    file = "cpu.weight" if PURE_V2 else "cpu/cpu.shares"
    found = int(engine.run("--cpu-shares", "512", IMAGE, "cat", f"/sys/fs/cgroup/{file}"))
    assert found in ((20, 59) if PURE_V2 else (512,))  # two formulas are in use for v2


def test_ulimits(engine: Engine) -> None:
    out = engine.run(
        "--ulimit", "nofile=100:200", "--ulimit", "core=0", IMAGE, "sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"
    )
    assert out.split() == ["100", "200", "0"]


def test_sysctl(engine: Engine) -> None:
    arguments = ["--sysctl", "net.ipv4.ip_forward=0", "--sysctl", "kernel.msgmax=65000"]
    out = engine.run(*arguments, IMAGE, "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax")
    assert out.split() == ["0", "65000"]


def test_oom_score(engine: Engine) -> None:
    assert engine.run("--oom-score-adj", "500", IMAGE, "cat", "/proc/self/oom_score_adj") == "500"


def test_limits_in_the_api(engine: Engine) -> None:
    body = {
        "Image": IMAGE,
        "HostConfig": {"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 10, "CpusetCpus": "0"},
    }
    identity = engine.call("POST", "/containers/create", body).json["Id"]
    host = engine.inspect(identity)["HostConfig"]
    assert {key: host[key] for key in body["HostConfig"]} == body["HostConfig"]


def test_cgroups_are_removed(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    found = [path for path in Path("/sys/fs/cgroup").rglob(f"*{identity}*") if path.is_dir()]
    assert found
    engine.ok("rm", "-f", identity)
    deadline = time.monotonic() + 60
    while any(path.exists() for path in found):
        assert time.monotonic() < deadline, found
