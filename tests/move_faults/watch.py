"""What must hold afterwards: one copy, the same for all hosts, nothing left."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from services.network.adapters import namespaces
from shared.bus import Bus
from shared.contracts import migrator, moving
from shared.contracts.base import Empty
from shared.errors import ShoalError
from tests.cluster_faults.clients import Connection, DownError, call
from tests.support.cluster import Hosts
from tools.lab.lab import CGROUPS

from .faults import processes

HELPERS = (b"services.platform.mover", b"criu")
SAMPLE, PAUSE = 0.03, 0.002
BUSY = 200_000
"""Nanoseconds of processor time in a sample, from which on somebody runs."""


def group(hosts: Hosts, number: int, id: str) -> list[int]:
    """The processes of a container on a host, by the machine's numbers."""
    name = f"{hosts.lab.plan.cgroup(number)}/{id}"
    for place in (CGROUPS / "freezer" / name, CGROUPS / "unified" / name, CGROUPS / name):
        with suppress(OSError):
            return [int(line) for line in (place / "cgroup.procs").read_text().split()]
    return []


class Twice(threading.Thread):
    """Looks whether a container's program runs on two hosts at the same time."""

    def __init__(self, hosts: Hosts, id: str, program: str, numbers: tuple[int, int]) -> None:
        super().__init__(daemon=True)
        self._hosts, self._id, self._program, self._numbers = hosts, id, program, numbers
        self._over = threading.Event()
        self.found = 0
        self.start()

    def run(self) -> None:
        before, last = self._used(), False
        while not self._over.wait(SAMPLE):
            now = self._used()
            ran = [sum(now[at][pid] - used for pid, used in before[at].items() if pid in now[at]) for at in (0, 1)]
            both = min(ran) > BUSY
            self.found += both and last  # one sample may have been long enough for the end here and the begin there
            before, last = now, both

    def _used(self) -> tuple[dict[int, int], dict[int, int]]:
        one, two = (self._of(number) for number in self._numbers)
        return one, two

    def _of(self, number: int) -> dict[int, int]:
        used = {}
        for pid in group(self._hosts, number, self._id):
            with suppress(OSError, IndexError, ValueError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == self._program:
                    used[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        return used

    def end(self) -> int:
        """In how many samples it did."""
        self._over.set()
        self.join()
        return self.found


class Client(threading.Thread):
    """Writes numbered keys to a Redis over one connection, from within a container's network, and checks each answer.

    A counter that does not go on from the last answer would be a write that was acknowledged and lost.
    """

    def __init__(self, network: Path, address: str) -> None:
        super().__init__(daemon=True)
        self._connection = namespaces.inside(network, partial(socket.create_connection, (address, 6379)))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers, self.error, self.gap = 0, "", 0.0
        self._over = False
        self.start()

    def run(self) -> None:
        answers, last = self._connection.makefile("rb"), time.monotonic()
        while not self._over and not self.error:
            key = b"key%d" % self.answers
            words = b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" % (len(key), key)
            try:
                self._connection.sendall(words)
                said = answers.readline() + answers.readline()
            except OSError as error:
                said = repr(error).encode()
            if said == b"+OK\r\n:%d\r\n" % (self.answers + 1):
                self.answers += 1
            elif not self._over:
                self.error = f"after {self.answers} answers the client got {said!r}"
            now = time.monotonic()
            self.gap, last = max(self.gap, now - last), now
            time.sleep(PAUSE)

    def end(self) -> None:
        self._over = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self.join()
        self._connection.close()


class Move(threading.Thread):
    """`shoal migrate` by the API of a host; what it told is in `lines`, what went wrong in `error`."""

    def __init__(self, hosts: Hosts, number: int, id: str, node: str, strategy: str) -> None:
        super().__init__(daemon=True)
        self._wanted = json.dumps({"Node": node, "Strategy": strategy})
        self._path = f"/v1.44/containers/{id}/migrate"
        self._connection = Connection(f"/proc/{hosts.lab.host(number).pid}/root/run/shoal/docker.sock")
        self.lines: list[dict[str, Any]] = []
        self.error = ""
        self.start()

    def run(self) -> None:
        try:
            self._connection.request("POST", self._path, self._wanted, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            for line in answer:
                self.lines.append(json.loads(line))
            last = self.lines[-1]
            self.error = "" if "result" in last else str(last.get("error", last.get("message", "it was broken off")))
        except (OSError, http.client.HTTPException, IndexError, ValueError) as error:
            self.error = repr(error)
        finally:
            self._connection.close()

    def end(self, seconds: float) -> str:
        """How it ended; empty: well."""
        self.join(seconds)
        return "it does not end" if self.is_alive() else self.error

    @property
    def steps(self) -> str:
        """In one line."""
        told = [one for one in self.lines if "step" in one]
        return ", ".join(f"{one['step']} {one.get('ms', 0):.0f} {one.get('text', '')}".strip() for one in told)


def shown(hosts: Hosts, number: int, id: str) -> tuple[str, str]:
    """Host and state of a container, as a host tells it."""
    status, told = call(hosts.lab, number, "GET", f"/containers/{id}/json")
    if status != 200:
        return "", f"{status} {told}"
    return told["Node"]["Name"], told["State"]["Status"]


def ready(hosts: Hosts, number: int) -> int:
    """How many hosts a host hears of."""
    status, told = call(hosts.lab, number, "GET", "/nodes")
    return sum(one["Status"]["State"] == "ready" for one in told) if status == 200 else 0


async def unfinished(bus: Bus, nodes: list[str]) -> list[str]:
    """What is left of migrations, as migrators and executors tell it."""
    found: list[Any] = []
    for node in nodes:
        try:
            found += (await bus.call(migrator.LIST, Empty(), node=node, timeout=5.0)).migrations
            found += (await bus.call(moving.MOVES, Empty(), node=node, timeout=5.0)).moves
        except ShoalError as error:
            found.append(f"{node[:6]}: {error.message}")
    return [str(one) for one in found]


def inventory(hosts: Hosts, number: int, id: str) -> dict[str, object]:
    """What a host has of a container, and how many of what would be left by a move that is not swept."""
    root = Path(f"/proc/{hosts.lab.host(number).pid}/root")
    run, state = root / "run/shoal", hosts.lab.plan.home(number) / "state"
    named = sorted(
        str(Path(folder, name).relative_to(base))
        for base in (run, state)
        for folder, folders, files in os.walk(base)
        if "/broker/" not in folder and "/hub/" not in folder
        for name in (*folders, *files)
        if id in name
    )
    moves = run / "platform/moves"
    links = hosts.ok(number, "ip", "-o", "link").splitlines()
    mounts = Path(f"/proc/{hosts.lab.host(number).pid}/mountinfo").read_text().splitlines()
    ours = [
        line for line in mounts if line.split()[4].startswith(("/run/", str(state)))
    ]  # of the host, not the machine
    kinds = Counter(line.split(" - ")[1].split()[0] for line in ours)
    return {
        "named": named,
        "moves": sorted(one.name for one in moves.iterdir()) if moves.exists() else [],
        "helpers": [name for pid in processes(hosts, number, *HELPERS) if (name := _comm(pid)) != "conmon"],
        "monitors": len(processes(hosts, number, b"/conmon")),
        "links": sorted(line.split(": ")[1].split("@")[0][:3] for line in links),
        "mounts": dict(kinds),
        "volumes": [one["Name"] for one in call(hosts.lab, number, "GET", "/volumes")[1]["Volumes"] or ()],
        "groups": sorted(str(one) for one in CGROUPS.glob(f"*/{hosts.lab.plan.cgroup(number)}/{id}*")),
    }


def _comm(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "gone"


def until(holds: Any, seconds: float) -> list[str]:
    """What is still wrong then; nobody tells a client when hosts agree."""
    end = time.monotonic() + seconds
    while True:
        try:
            wrong = holds()
        except (DownError, AssertionError, OSError, ValueError) as error:
            wrong = [repr(error)]
        if not wrong or time.monotonic() > end:
            return list(wrong)
        time.sleep(0.2)
