from tools.bench.floor import WORK
from tools.bench.measures import MEASURES, milliseconds
from tools.bench.summary import GOALS


def test_names_are_unique() -> None:
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)


def test_every_floor_that_is_named_exists() -> None:
    assert {measure.floor for measure in MEASURES if measure.floor} <= set(WORK)


def test_every_goal_has_its_measure() -> None:
    derived = {"memory-each", "start-growth"}
    assert set(GOALS) - derived <= {measure.name for measure in MEASURES}


def test_milliseconds() -> None:
    assert 0 <= milliseconds(lambda: None) < 1000
