from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.lab.lab import Lab
from tools.lab.plan import address


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab.up(tmp_path_factory.mktemp("lab"), 3)
    yield made
    made.down()


def reaches(lab: Lab, one: int, other: int, times: int = 3) -> bool:
    """Whether one of some packets comes back: a line just plugged in carries only after a moment."""
    ping = ["busybox", "ping", "-c", "1", "-W", "1", address(other)]
    return any(lab.host(one).run(ping, {}).returncode == 0 for _ in range(times))


def test_all_reach_each_other(lab: Lab) -> None:
    assert all(reaches(lab, one, other) for one in lab.plan.numbers for other in lab.plan.numbers)


def test_a_cut_is_between_two_hosts_and_is_mended(lab: Lab) -> None:
    lab.cut(1, 2)
    assert (reaches(lab, 1, 2, 1), reaches(lab, 2, 1, 1)) == (False, False)
    assert reaches(lab, 1, 3)
    assert reaches(lab, 3, 2)
    lab.mend(1, 2)
    lab.mend(1, 3)
    assert (reaches(lab, 1, 2), reaches(lab, 2, 1)) == (True, True)


def test_a_host_that_was_killed_is_reached_again_after_its_start(lab: Lab) -> None:
    lab.kill(3)
    assert not reaches(lab, 1, 3, 1)
    lab.start(3)
    assert reaches(lab, 1, 3)


def test_nothing_of_it_is_on_the_machine(lab: Lab) -> None:
    assert not [each for each in Path("/sys/class/net").iterdir() if each.name in ("switch", "port1", "port2")]
