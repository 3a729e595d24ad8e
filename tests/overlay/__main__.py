"""The command."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.overlay.links import Links
from tests.overlay.measure import rate, steadiness
from tests.support.cluster import engines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.overlay", description="Throughput of networks across hosts.")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each link, in turns")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument(
        "--line", default="", help="what the hosts' lines carry, such as 1gbit; else as fast as it goes"
    )
    parser.add_argument("--steady", type=float, default=0.0, help="then so many seconds on the encrypted network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overlay-") as folder, engines(Path(folder) / "lab", 2) as hosts:
        links = Links(hosts, options.line)
        found: dict[str, list[float]] = {name: [] for name in links.names}
        for _ in range(options.rounds):
            for name in links.names:
                with links.connection(name) as (client, server):
                    found[name].append(rate(client, server, options.seconds))
        middle = {name: statistics.median(rates) for name, rates in found.items()}
        for name, rates in found.items():
            print(f"{name:10} {middle[name]:8.0f} MB/s  ({min(rates):.0f} to {max(rates):.0f})")
        print(f"plain / bare      {middle['plain'] / middle['bare']:.2f}")
        print(f"encrypted / plain {middle['encrypted'] / middle['plain']:.2f}")
        if options.steady:
            with links.connection("encrypted") as (client, server):
                steady = steadiness(client, server, options.steady)
            print(f"{options.steady:.0f} s encrypted: {steady}")


if __name__ == "__main__":
    main()
