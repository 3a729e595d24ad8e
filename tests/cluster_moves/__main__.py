"""`python -m tests.cluster_moves [--moves 20] [--only redis|small|postgres] [--strategy copy|post-copy]`.

Servers under load move back and forth between two hosts of a lab, by `shoal migrate`, their clients on a third. Figures
for each; exit code 1 when a client saw an error.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial

from tests.cluster_moves import run
from tests.cluster_moves.run import Result
from tests.support.cluster import Hosts

WHAT: dict[str, Callable[[Hosts, str, int], Result]] = {
    "small": partial(run.redis, keys=0),
    "redis": run.redis,
    "postgres": run.postgres,
}
STRATEGIES = ("copy", "post-copy")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster_moves", description=__doc__)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--only", choices=sorted(WHAT))
    parser.add_argument("--strategy", choices=STRATEGIES)
    chosen = parser.parse_args()
    failed = False
    with run.lab() as hosts:
        for name in [chosen.only] if chosen.only else WHAT:
            for strategy in [chosen.strategy] if chosen.strategy else STRATEGIES:
                result = WHAT[name](hosts, strategy, chosen.moves)
                print(run.summary(f"{name}, {strategy}", result), flush=True)
                failed = failed or bool(result.failed)
    return int(failed)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lab is swept when it is ended from outside, too
    sys.exit(main())
