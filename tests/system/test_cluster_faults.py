"""The short form of `python -m tests.cluster_faults`."""

from itertools import islice

import pytest

from tests.cluster_faults.clients import Held
from tests.cluster_faults.faults import faults
from tests.cluster_faults.run import PROCESSES, run
from tests.cluster_faults.verdict import broken, differences

pytestmark = pytest.mark.shoal_only


def test_a_seed_makes_the_same_faults_and_everything_has_its_turn() -> None:
    turns = (len(PROCESSES) * 3 + 3) * 2
    once, again = (list(islice(faults(7, (1, 2, 3), PROCESSES), turns)) for _ in range(2))
    assert once == again != list(islice(faults(8, (1, 2, 3), PROCESSES), turns))
    single = {fault[0][:4] for fault in once[::2]}
    assert single == {("kill", host, 0, name) for host in (1, 2, 3) for name in PROCESSES} | {
        ("power", host, 0, "") for host in (1, 2, 3)
    }


def test_what_is_lost_or_different_is_found() -> None:
    lost, back = Held("a", 1, id="1" * 64, started=True), Held("b", 2, id="2" * 64, removed="yes")
    there = {"2" * 64: ("/b", "exited"), "3" * 64: ("/x", "exited"), "4" * 64: ("/x", "created")}
    assert broken(there, [lost, back]) == [
        "/x is there twice",
        "a (111111111111) was acknowledged and is lost",
        "b (222222222222) was removed and is there",
    ]
    assert len(differences({1: there, 2: {}})) == 3


def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    told: list[str] = []
    result = run(tmp_path_factory.mktemp("faults"), 15, 5, told.append)
    assert result.good, f"{told}\n{result}"
