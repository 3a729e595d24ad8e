"""A campaign of generated requests between two counts of what the engine holds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.config import Settings
from tools.bench.client import Api

from . import campaign, swagger
from .campaign import Report
from .census import MEMORY, leaks, settled
from .cycle import cycle, restless, slack
from .hints import World

FIRST_USES = 8
"""What the runtime makes at a first use and keeps: an empty folder, a compiled filter for each set of capabilities."""
MEMORY_GROWTH = 16 << 10
"""kB that a process may grow by what it sees for the first time: parsers, pattern caches, long lists."""


@dataclass
class Outcome:
    """What came of it."""

    requests: int
    seconds: float
    report: Report
    leaks: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return bool(self.report.findings or self.leaks)

    def lines(self) -> Iterator[str]:
        """For people."""
        for finding in self.report.findings:
            yield f"#{finding.number} {finding.request.operation}: {finding.text}"
            yield f"    {finding.request}"
        yield from (f"LEAK {leak}" for leak in self.leaks)
        answered = ", ".join(f"{status}: {count}" for status, count in sorted(self.report.statuses.items()))
        yield f"{self.requests} requests in {self.seconds:.1f} s; {answered}"


def _warm(path: str) -> None:
    """What an engine makes when it is first used, and keeps: helper processes, parent control groups, caches."""
    api = Api(path)
    try:
        for number in range(2):
            cycle(api, World("").image, number)
    finally:
        api.close()


def run(settings: Settings, seed: int, numbers: range, census: bool) -> Outcome:
    """The requests of these numbers for both versions in turn."""
    path = str(settings.socket_path)
    apis = [swagger.load(version) for version in swagger.VERSIONS]
    with tempfile.TemporaryDirectory(prefix="shoal-generated-") as scratch:
        world = World(scratch=scratch)
        campaign.sweep(path, world)
        _warm(path)
        before = settled(settings, restless(settings)) if census else {}
        begun = time.monotonic()
        report = campaign.run(path, apis, seed, numbers, world)
        outcome = Outcome(len(numbers), time.monotonic() - begun, report)
    if census:
        allowed = {"files of the run folder": FIRST_USES} | {
            name: more + MEMORY_GROWTH * name.startswith(MEMORY) for name, more in slack(before, len(numbers)).items()
        }
        after = settled(settings, lambda counts: leaks(before, counts, allowed))
        outcome.leaks = leaks(before, after, allowed)
    return outcome
