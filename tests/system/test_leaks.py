"""What an engine holds is what it held: after containers that live and die, and after requests of every kind.

The long runs are commands: `python -m tools.docker_api cycle` (1,000 containers) and `generate` (10,000 requests).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.support.engine import Engine
from tests.support.shoal import Shoal

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(700)]  # on a slow machine
RUN_SECONDS = 600.0
SEED = 20_260_101


@pytest.fixture(scope="module")
def shoal() -> Iterator[Shoal]:
    with Shoal() as made:
        Engine(made.host).load_busybox()
        yield made


def run(shoal: Shoal, *arguments: str) -> str:
    """What a long check prints; it has to end well."""
    done = shoal.inside([sys.executable, "-P", "-m", "tools.docker_api", *arguments], False, RUN_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr + shoal.logs()
    return done.stdout


def test_cycles_leave_nothing(shoal: Shoal) -> None:
    assert "15 cycles" in run(shoal, "cycle", "--times", "15", "--warm", "5")


def test_generated_requests_are_answered_and_leave_nothing(shoal: Shoal) -> None:
    assert "300 requests" in run(shoal, "generate", "--requests", "300", "--seed", str(SEED))
