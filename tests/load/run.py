"""One run: servers, their clients, and the kills."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.load.clients import Outcome, clients, outcome, start_servers
from tests.support.debian_images import load
from tests.support.engine import Engine
from tests.support.shoal import Shoal
from tests.support.software import POSTGRES, REDIS

ADDRESS = "192.0.2.1"
"""An address of the engine's host that is not loopback."""
PAUSE = 0.5
"""Seconds between one process's return and the next kill."""
LAST = 2
"""Seconds before the end in which nothing is killed any more."""


@dataclass(frozen=True)
class Result:
    """What was killed how often, and how the clients ended."""

    kills: Mapping[str, int]
    outcomes: Sequence[Outcome]

    @property
    def good(self) -> bool:
        return all(each.good for each in self.outcomes)


def run(seconds: int, *, kill: bool = True) -> Result:
    """A private engine under load for so many seconds."""
    with Shoal() as shoal:
        shoal.inside(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
        engine = Engine(shoal.host, shoal.netns)
        load(engine, POSTGRES, REDIS)
        running = clients(start_servers(engine), ADDRESS, seconds)
        for client in running:
            client.start(engine)
        end = time.monotonic() + seconds
        kills = _kill_in_turn(shoal, end) if kill else {}
        time.sleep(max(0.0, end - time.monotonic()))
        for client in running:
            engine.ok("wait", client.name, timeout=60)
        return Result(kills, [outcome(engine, client) for client in running])


def _kill_in_turn(shoal: Shoal, end: float) -> Mapping[str, int]:
    kills: Counter[str] = Counter()
    for name in itertools.cycle([each.name for each in shoal.processes()]):
        shoal.kill(name)
        kills[name] += 1
        time.sleep(PAUSE)
        if time.monotonic() > end - LAST:
            break
    return kills
