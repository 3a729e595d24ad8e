"""`python -m tools.sim`: the growth curve of the scheduler's decisions."""

from __future__ import annotations

from typing import Annotated

import typer

from .measure import HEADING, measure, row

STEPS = ((10, 1_000), (100, 10_000), (1_000, 100_000), (10_000, 1_000_000))


def main(
    hosts: Annotated[int, typer.Option("--hosts", help="One cluster of that many hosts; 0: the growth curve.")] = 0,
    containers: Annotated[int, typer.Option("--containers", help="How many containers it has.")] = 0,
    placements: Annotated[int, typer.Option("--placements", help="How many are timed.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed")] = 1,
) -> None:
    """Fill simulated clusters with containers of a mix of wishes, then place more while others end; on one core.

    Timed are the decision and its taking effect, not the making of the wish. Prints a table in Markdown.
    """
    print(HEADING, flush=True)
    for count, of_these in ((hosts, containers or 100 * hosts),) if hosts else STEPS:
        print(row(measure(count, of_these, placements, seed)), flush=True)


if __name__ == "__main__":
    typer.run(main)
