"""`python -m tests.move_faults [--seed 1] [--steps A,B] [--faults A,B] [--kind redis|bare] [--only STEP:FAULT...]`.

In a lab of three hosts a container moves to and fro, and at each step of the move something is killed, cut off or
filled up: exactly then, before the step's request is sent, while it is worked on, or when its answer is there and not
read yet. Then exactly one copy must run, with its memory and connections, all hosts must tell the same, nothing be
left, and it must move again. A line for each case; exit code 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from . import faults, run
from .run import KINDS, ORDER, PHASES, UNDO, Case

STRATEGIES = ("copy", "copy", "post-copy")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.move_faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", default="")
    parser.add_argument("--faults", default="", help="such as executor, or executor-target")
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--phase", choices=PHASES)
    parser.add_argument("--strategy", choices=sorted(set(STRATEGIES)))
    parser.add_argument("--only", nargs="+", metavar="STEP:FAULT[:PHASE[:KIND[:STRATEGY]]]")
    parser.add_argument("--keep", action="store_true", help="stop at what is wrong, with the lab as it is")
    chosen = parser.parse_args()
    cases = [case for case in planned(chosen.seed) if _is_chosen(case, chosen)]
    if chosen.only:
        cases = [case for words in chosen.only for case in named(words, chosen.seed)]
    wrong = work(cases, chosen.keep)
    print(f"{len(cases)} cases, {wrong} wrong")
    return int(bool(wrong))


def planned(seed: int) -> Iterator[Case]:
    """Every step with every fault; the seed says when in the step, to what, and by which strategy."""
    chance = random.Random(seed)
    found = [
        Case(step, fault, chance.choice(PHASES), chance.choice(KINDS), chance.choice(STRATEGIES))
        for step in (*ORDER, *UNDO)
        for fault in faults.faults()
    ]
    yield from sorted(found, key=lambda case: case.kind)


def named(words: str, seed: int) -> list[Case]:
    """As a line of the output begins, or only the first part of it."""
    return [case for case in planned(seed) if str(case).startswith(f"{words}:")] or [Case.parsed(words)]


def _is_chosen(case: Case, chosen: argparse.Namespace) -> bool:
    wanted = chosen.faults.split(",") if chosen.faults else [""]
    return (
        (not chosen.steps or case.step in chosen.steps.split(","))
        and any(one in ("", case.fault.what, str(case.fault)) for one in wanted)
        and chosen.kind in (None, case.kind)
        and chosen.phase in (None, case.phase)
        and chosen.strategy in (None, case.strategy)
    )


def work(cases: Sequence[Case], keep: bool) -> int:
    """How many went wrong. After one a new lab is made: what it left is no other's fault."""
    wrong = 0
    with ExitStack() as stack:
        world = None
        for case in cases:
            world = world or stack.enter_context(run.world(redis=any(one.kind == "redis" for one in cases)))
            outcome = world.case(case)
            took = f"{outcome.settled:.0f} s, {outcome.seconds:.0f} s"
            print(f"{case} {outcome.where}, {took}: {outcome.said or 'moved'}", flush=True)
            if outcome.wrong:
                wrong += 1
                print("".join(f"  WRONG: {each}\n" for each in outcome.wrong), end="")
                print(f"  {outcome.steps}\n  {world.hosts.lab.plan.folder}", flush=True)
                if keep:
                    signal.pause()
                stack.close()
                world = None
    return wrong


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lab goes when this is ended from outside, too
    sys.exit(main())
