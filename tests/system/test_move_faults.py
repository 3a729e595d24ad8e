"""Something dies while a container moves: one copy goes on, with its memory, and nothing is left.

The most telling of the cases that `python -m tests.move_faults` has for every step of a move.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.move_faults import run
from tests.move_faults.run import Case, World

pytestmark = pytest.mark.shoal_only


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with run.world(redis=False) as made:
        yield made


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ("dump:executor-source:after:bare:post-copy", ""),
        ("dump:migrator-source:after:bare:copy", "stays"),
        ("restore:migrator-source:after:bare:copy", ""),
        ("switch:migrator-source:before:bare:copy", ""),
        ("switch:migrator-source:after:bare:copy", "moved"),
        ("take_over:executor-target:during:bare:copy", "moved"),
        ("take_over:platform-target:during:bare:copy", "moved"),
    ],
)
def test_one_copy_goes_on(world: World, words: str, where: str) -> None:
    outcome = world.case(Case.parsed(words))
    assert outcome.wrong == [], outcome.steps
    assert outcome.where in ("stays", "moved")
    assert not where or outcome.where == where
