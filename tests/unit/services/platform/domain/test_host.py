"""Facts out of files."""

from __future__ import annotations

from services.platform.domain.host import features, memory_total, operating_system, version, warnings


def test_the_systems_name() -> None:
    text = '# c\nNAME=Debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nEMPTY=\n'
    assert operating_system(text) == ("Debian GNU/Linux 12 (bookworm)", "12")
    assert operating_system("") == ("Linux", "")


def test_memory() -> None:
    assert memory_total("MemTotal:       2048 kB\nMemFree: 1 kB\n") == 2 << 20
    assert memory_total("") == 0


def test_versions_of_the_tools() -> None:
    assert version("crun version 1.28\ncommit: 54f\n") == "1.28"
    assert version("conmon version 2.1.13\ncommit: unknown\n") == "2.1.13"
    assert version("tini version 0.19.0\n") == "0.19.0"
    assert version("runc version 1.1.5+ds1\nspec: 1.0.2") == "1.1.5+ds1"
    assert version("usage: x") == ""


def test_a_host_that_has_everything_is_not_warned_about() -> None:
    found = features(True, ("cpu", "cpuset", "io", "memory", "pids"), swap=True, real_time=True, ipv4_forwarding=True)
    assert warnings(found) == ()
    assert found["blkio_weight"]
    assert found["memory_reservation"]
    assert not found["oom_kill_disable"]
    assert not found["memory_swappiness"]  # has no file in cgroup v2


def test_what_is_missing_is_said() -> None:
    found = features(False, ("memory",), swap=False, real_time=False, ipv4_forwarding=False)
    assert found["oom_kill_disable"]
    assert found["memory_swappiness"]
    assert "WARNING: No swap limit support" in warnings(found)
    assert "WARNING: IPv4 forwarding is disabled" in warnings(found)
    assert "WARNING: No memory limit support" not in warnings(found)
