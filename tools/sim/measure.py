"""What a simulated cluster tells: speed, memory, fairness."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from .cluster import Simulation

_PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Result:
    """`slowest`: the time of one of a hundred decisions. `spread`: most and fewest containers of plain hosts."""

    hosts: int
    containers: int
    a_second: float
    median: float
    slowest: float
    memory: int
    spread: tuple[int, int]
    deviation: float


def measure(hosts: int, containers: int, placements: int, seed: int = 1) -> Result:
    """Fills a cluster evenly, then lets as many come as go: these count.

    One placement is a decision, and its taking effect.
    """
    before = _memory()
    simulation = Simulation(hosts, seed)
    simulation.fill(containers)
    gc.collect()
    used = _memory() - before
    times = []
    for _ in range(placements):
        simulation.end_one()
        ask = simulation.requests.next()
        begun = time.thread_time()
        simulation.place(ask)
        times.append(time.thread_time() - begun)
    loads = [simulation.fleet.containers(host.id) for host in simulation.hosts if _plain(host.architectures)]
    cuts = statistics.quantiles(times, n=100)
    return Result(
        hosts=hosts,
        containers=simulation.containers,
        a_second=placements / sum(times),
        median=cuts[49],
        slowest=cuts[98],
        memory=used,
        spread=(min(loads), max(loads)),
        deviation=statistics.pstdev(loads),
    )


def _plain(architectures: frozenset[str]) -> bool:
    return "amd64" in architectures


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


HEADING = (
    "| hosts | containers | placements/s | median | 99 of 100 within | memory | containers of a host | deviation |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def row(one: Result) -> str:
    """One line of a table in Markdown."""
    return (
        f"| {one.hosts:,} | {one.containers:,} | {one.a_second:,.0f} | {one.median * 1e6:.0f} \u00b5s "
        f"| {one.slowest * 1e6:.0f} \u00b5s | {one.memory / 1e6:,.0f} MB | {one.spread[0]} to {one.spread[1]} "
        f"| {one.deviation:.1f} |"
    )
