"""Gates as real processes."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from services.platform.adapters import movers


def started(folder: Path, network: str, streams: bool) -> tuple[subprocess.Popen[bytes], movers.Fifo]:
    config = movers.write_gate(folder, (), network, folder / "gate.log", streams)
    told = movers.Fifo(folder / "gate")
    return run(config), told


def start(folder: Path, network: str, streams: bool) -> subprocess.Popen[bytes]:
    return run(movers.write_gate(folder, (), network, folder / "gate.log", streams))


def run(config: Path) -> subprocess.Popen[bytes]:
    words = movers.python("services.platform.mover.gate", str(config))
    return subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize("streams", [False, True])
def test_it_becomes_what_it_is_told_in_the_network(tmp_path: Path, streams: bool) -> None:
    gate, told = started(tmp_path, f"/proc/{os.getpid()}/ns/net", streams)
    number = movers.STREAMS + 1 if streams else 1
    told.tell(msgspec.json.encode(["/bin/sh", "-c", f"echo hidden; readlink /proc/self/ns/net >/dev/fd/{number}"]))
    out, _ = gate.communicate(timeout=60)
    told.close()
    own = os.readlink("/proc/self/ns/net").encode()
    assert out.splitlines() == ([own] if streams else [b"hidden", own])
    assert (tmp_path / "gate.log").exists() == streams


def test_a_network_of_its_own_has_a_loopback_link(tmp_path: Path) -> None:
    gate, told = started(tmp_path, "", False)
    told.tell(msgspec.json.encode(["/bin/sh", "-c", "cat /sys/class/net/lo/flags; readlink /proc/self/ns/net"]))
    out, _ = gate.communicate(timeout=60)
    told.close()
    assert out.decode().split()[-1] != os.readlink("/proc/self/ns/net")


def test_it_ends_when_nobody_is_left_to_tell_it(tmp_path: Path) -> None:
    gate, told = started(tmp_path, f"/proc/{os.getpid()}/ns/net", False)
    while not has_open(gate.pid, tmp_path / "gate"):
        time.sleep(0.01)
    told.close()
    assert gate.wait(60) == 1


def test_nor_does_it_wait_for_a_platform_that_was_gone_before(tmp_path: Path) -> None:
    gate = start(tmp_path, f"/proc/{os.getpid()}/ns/net", False)
    assert gate.wait(60) == 1


def has_open(pid: int, file: Path) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed since
            if os.readlink(descriptor) == str(file):
                return True
    return False


def test_what_it_becomes_has_a_cgroup_namespace_of_its_own(tmp_path: Path) -> None:
    own = os.readlink("/proc/self/ns/cgroup")
    config = movers.write_gate(
        tmp_path, (), f"/proc/{os.getpid()}/ns/net", tmp_path / "log", True, cgroup_namespace=True
    )
    told = movers.Fifo(tmp_path / "gate")
    gate = run(config)
    told.tell(msgspec.json.encode(["/bin/sh", "-c", f"readlink /proc/self/ns/cgroup >/dev/fd/{movers.STREAMS + 1}"]))
    out, _ = gate.communicate(timeout=60)
    told.close()
    assert out.decode().startswith("cgroup:[")
    assert out.decode().strip() != own
