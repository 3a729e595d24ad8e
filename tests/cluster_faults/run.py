"""A lab of three hosts, its clients, and the faults."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster_faults.clients import Client, DownError
from tests.cluster_faults.faults import PAUSE, Fault, faults
from tests.cluster_faults.verdict import agrees, broken, differences, names, seen
from tests.support.cluster import Hosts
from tools.lab.lab import Lab

HOSTS = 3
PROCESSES = (
    "broker",
    "hub",
    "gateway",
    "scheduler",
    "executor",
    "platform",
    "network",
    "volume",
    "image_store",
    "supervisor",
)
SETTLE = 180.0
"""Seconds within which all hosts must tell the same when all is mended."""
NAMES = 10


@dataclass
class Result:
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    settled: float = 0.0

    @property
    def good(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        lines = [
            f"faults: {', '.join(f'{what} {number}' for what, number in sorted(self.faults.items()))}",
            f"answers: {', '.join(f'{what} {number}' for what, number in sorted(self.answers.items()))}",
            f"slowest call {self.slowest:.1f} s; all hosts told the same {self.settled:.1f} s after the last fault",
            *(f"WRONG: {each}" for each in self.wrong),
            "good" if self.good else f"{len(self.wrong)} things are wrong",
        ]
        return "\n".join(lines)


def run(folder: Path, seconds: float, seed: int, told: Callable[[str], object], keep: bool = False) -> Result:
    """Makes the lab, breaks it for so long, mends it, and looks."""
    lab = Lab.up(folder, HOSTS)
    result = Result()
    try:
        hosts = _cluster(lab)
        told("three hosts, three hubs")
        first = random.SystemRandom().randrange(100_000, 2_000_000) * 1000
        clients = [Client(lab, number, seed, first + number * 100_000) for number in lab.plan.numbers]
        try:
            _break(hosts, seconds, seed, result, told)
        finally:
            for client in clients:
                client.stop.set()
            for client in clients:
                client.thread.join()
        for client in clients:
            result.answers += client.answers
            result.wrong += client.wrong
            result.slowest = max(result.slowest, client.slowest)
        _judge(hosts, clients, result)
        return result
    finally:
        if not (keep and result.wrong):
            lab.down()


def _cluster(lab: Lab) -> Hosts:
    hosts = Hosts(lab)
    for number in lab.plan.numbers:
        hosts.shoal_ok(number, "up")
    hosts.load()
    hosts.init()
    for number in [*lab.plan.numbers][1:]:
        hosts.join(number)
    _wait(lambda: len(hosts.hubs(1)) == HOSTS and all(hosts.seen(1).values()), SETTLE)
    return hosts


def _break(hosts: Hosts, seconds: float, seed: int, result: Result, told: Callable[[str], object]) -> None:
    end = time.monotonic() + seconds
    for together in faults(seed, [*hosts.lab.plan.numbers], PROCESSES):
        if time.monotonic() > end:
            return
        for fault in together:
            told(f"{time.monotonic() - end + seconds:6.1f} {fault}")
            result.faults[f"{fault.kind} {fault.process}".strip()] += 1
            _do(hosts, fault)
        time.sleep(together[0].seconds)
        for fault in together:
            _mend(hosts, fault)
        time.sleep(PAUSE)


def _do(hosts: Hosts, fault: Fault) -> None:
    lab = hosts.lab
    match fault.kind:
        case "cut":
            lab.cut(fault.host, fault.other)
        case "power":
            lab.kill(fault.host)
        case _:
            path = Path(f"/proc/{lab.host(fault.host).pid}/root/run/shoal/engine/{fault.process}.json")
            if path.exists():
                hosts.run(fault.host, "kill", "-9", str(json.loads(path.read_text())["pid"]))


def _mend(hosts: Hosts, fault: Fault) -> None:
    match fault.kind:
        case "cut":
            hosts.lab.mend(fault.host, fault.other)
        case "power":
            hosts.lab.start(fault.host)
            hosts.shoal_ok(fault.host, "up")


def _judge(hosts: Hosts, clients: list[Client], result: Result) -> None:
    lab, held = hosts.lab, [one for client in clients for one in client.held]
    last: list[str] = []

    def same() -> bool:
        nonlocal last
        try:
            views = {number: seen(lab, number) for number in lab.plan.numbers}
            members = [hosts.seen(number) for number in lab.plan.numbers]
        except (DownError, AssertionError) as error:
            last = [str(error)]
            return False
        last = differences(views) + broken(views[1], held)
        if not all(all(ready.values()) and len(ready) == HOSTS for ready in members):
            last.append(f"hosts see {members}")
        return not last

    begun = time.monotonic()
    _wait(same, SETTLE)
    result.settled = time.monotonic() - begun
    result.wrong += last
    if not last:
        gone = [one.name for one in held if one.removed == "yes"][-NAMES:]
        host = 1 + os.getpid() % HOSTS
        _wait(lambda: agrees(lab, host), SETTLE)  # hubs may just be electing who leads, also when all is mended
        result.wrong += names(lab, host, seen(lab, 1), gone)


def _wait(holds: Callable[[], bool], seconds: float) -> bool:
    """Nobody tells a client when hosts agree."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True
