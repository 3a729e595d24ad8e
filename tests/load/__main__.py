"""`python -m tests.load [--seconds N]`: PostgreSQL under pgbench and Redis under redis-benchmark, through published
ports and by container names, while the engine's processes are killed in turn. Exit code 1 when anything was lost.
"""

from __future__ import annotations

import argparse
import signal
import sys

from tests.load.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--no-kills", action="store_true", help="only the load")
    chosen = parser.parse_args()
    result = run(chosen.seconds, kill=not chosen.no_kills)
    print(f"killed: {', '.join(f'{name} {count} times' for name, count in sorted(result.kills.items())) or 'nothing'}")
    for each in result.outcomes:
        print(f"{'ok    ' if each.good else 'FAILED'} {each.name}: {each.counts}")
    for each in result.outcomes:
        if not each.good:
            print(f"\n--- {each.name}\n{each.output}")
    return 0 if result.good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # engines are swept when it is ended from outside, too
    sys.exit(main())
