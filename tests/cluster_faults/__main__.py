"""`python -m tests.cluster_faults --seconds 600 --seed 1`: in a lab of three hosts every host, broker and service is
killed in turn, and lines are cut and mended at random (the same seed: the same faults), while clients make, start,
look at and remove containers through all three sockets. Afterwards all hosts must tell the same, no container that
was acknowledged may be missing or there twice, and no name taken by what is gone. Exit code 1 when that is not so.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.cluster_faults.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster_faults", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is when something is wrong")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="faults"))
    result = run(
        folder / f"faults{os.getpid()}", chosen.seconds, chosen.seed, told=partial(print, flush=True), keep=chosen.keep
    )
    print(result)
    if result.good or not chosen.keep:
        folder.rmdir()
    return 0 if result.good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lab goes when this is ended from outside, too
    sys.exit(main())
