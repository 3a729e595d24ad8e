"""What is done, where, and how it is mended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.cluster import Hosts

from .tap import kill

PROCESSES = (
    "migrator",
    "executor",
    "platform",
    "network",
    "image_store",
    "gateway",
    "scheduler",
    "broker",
    "hub",
    "supervisor",
    "mover",
    "guard",
)
SHORT, LONG = 3.0, 60.0
UP = 30.0
"""Seconds for which a host that is up again refuses to start a container, at most."""
DOWN = 2.0
"""Seconds for which a host is without power, or a disk is full after the move had to do with it."""
DISK = "3g"
"""The size of each host's disk, which is in memory."""


class Fault(NamedTuple):
    """`what`: a process, `power`, `disk`, `memory` (both: full), `cut`; `where`: `source` or `target`, or seconds."""

    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.what}-{self.where}"

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.where) if self.what == "cut" else 0.0


def faults() -> Iterator[Fault]:
    for where in ("source", "target"):
        for what in (*PROCESSES, "disk", "memory", "power"):
            yield Fault(what, where)
    for seconds in (SHORT, LONG):
        yield Fault("cut", f"{seconds:.0f}")


def do(hosts: Hosts, fault: Fault, source: int, target: int) -> Callable[[], object]:
    """Does it; what mends it."""
    number = target if fault.where == "target" else source
    match fault.what:
        case "cut":
            hosts.lab.cut(source, target)
            return lambda: hosts.lab.mend(source, target)
        case "power":
            hosts.lab.kill(number)
            return lambda: _power(hosts, number)
        case "disk":
            return _fill(str(hosts.lab.plan.home(number)))
        case "memory":
            return _fill(f"/proc/{hosts.lab.host(number).pid}/root/run", hosts.lab.host(number).pid)
        case "mover" | "guard":
            _kill_movers(hosts, number, forked=fault.what == "guard")
        case process:
            kill(hosts, number, process)
    return lambda: None


def _power(hosts: Hosts, number: int) -> None:
    hosts.lab.start(number)
    hosts.shoal_ok(number, "up")
    end = time.monotonic() + UP  # what a host has is compared; the cluster may not be ready for it yet
    while (done := hosts.run(number, "docker", "start", f"probe{number}")).returncode:
        if "No such container" in done.stderr:
            return
        if time.monotonic() > end:
            raise RuntimeError(f"probe{number} does not start again: {done.stderr}")
        time.sleep(0.5)


def _fill(path: str, host: int = 0) -> Callable[[], object]:
    """A tmpfs that holds no further page; `host`: the process in whose mounts it is."""
    told = os.statvfs(path)
    used = (told.f_blocks - told.f_bfree) * told.f_frsize
    where = ["nsenter", "-t", str(host), "-m", "--"] if host else []
    place = "/run" if host else path

    def size(what: str) -> None:
        subprocess.run([*where, "mount", "-o", f"remount,size={what}", place], check=True, capture_output=True)

    for more in range(20):  # somebody may write meanwhile: a size that is already exceeded is refused
        with suppress(subprocess.CalledProcessError):
            size(str(max(used, 4096) + more * 65536))
            return lambda: _sized(size)
    raise RuntimeError(f"{path} cannot be made full")


def _sized(size: Callable[[str], None]) -> None:
    with suppress(subprocess.CalledProcessError):  # the host is gone
        size(DISK)


def _kill_movers(hosts: Hosts, number: int, forked: bool) -> None:
    """Or what they have forked and stands by for such a case: never both."""
    movers = processes(hosts, number, b"services.platform.mover.program")
    for pid in movers:
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            if (int(stat[stat.rindex(")") + 2 :].split()[1]) in movers) == forked:
                os.kill(pid, signal.SIGKILL)


def processes(hosts: Hosts, number: int, *words: bytes) -> list[int]:
    """The processes of a host, by the machine's numbers, whose command lines have one of these in them."""
    space = os.stat(f"/proc/{hosts.lab.host(number).pid}/ns/pid").st_ino
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes()
            if any(word in line for word in words) and os.stat(folder / "ns/pid").st_ino == space:
                found.append(int(folder.name))
    return found


def wait(fault: Fault) -> None:
    time.sleep(fault.seconds or (DOWN if fault.what in ("power", "disk", "memory") else 0.0))
