"""PostgreSQL and Redis under load while the engine's processes are killed: no connection ends, no transaction fails.

`python -m tests.load` does the same for five minutes.
"""

import pytest

from tests.load.run import run

SECONDS = (20, 120)
"""The second time for a machine on which too few processes were back within the first."""
KILLS = 5


@pytest.mark.shoal_only
@pytest.mark.timeout(600)  # the images are made when they are not there yet
def test_nothing_is_lost_while_the_engines_processes_die() -> None:
    for seconds in SECONDS:
        result = run(seconds)
        assert [each for each in result.outcomes if not each.good] == []
        if (kills := sum(result.kills.values())) >= KILLS:
            break
    assert kills >= KILLS
