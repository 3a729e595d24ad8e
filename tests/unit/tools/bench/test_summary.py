import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.summary import Goal, Series, derive, median, meets, ratio, row

POSITIVE = st.floats(min_value=0.001, max_value=1e6)


def series(name: str = "cycle", better: str = "less", **samples: list[float]) -> Series:
    return Series(name, name, "ms", "more" if better == "more" else "less", samples)


def test_median_of_nothing_is_none() -> None:
    assert median([]) is None
    assert median([3, 1, 2]) == 2


@given(POSITIVE, POSITIVE)
def test_ratio_times_base_is_the_value(value: float, base: float) -> None:
    found = ratio(value, base)
    assert found is not None
    assert found * base == pytest.approx(value)


@pytest.mark.parametrize(("value", "base"), [(None, 1.0), (1.0, None), (1.0, 0.0)])
def test_ratio_needs_both(value: float | None, base: float | None) -> None:
    assert ratio(value, base) is None


def test_row_of_a_figure_that_is_better_when_less() -> None:
    found = row(series(ours=[1.0, 2.0, 3.0], base=[20.0]), "ours", "base", {"cycle": Goal(0.15)})
    assert (found.medians, found.ratios["ours"]) == ({"ours": 2.0, "base": 20.0}, 0.1)
    assert (found.goal, found.reached) == ("≤ 0.15 times", True)


def test_row_of_a_figure_that_is_better_when_more() -> None:
    found = row(series("logs", "more", ours=[20.0], base=[10.0]), "ours", "base", {"logs": Goal(3.0)})
    assert (found.goal, found.reached) == ("≥ 3 times", False)


def test_absolute_goal_and_floor() -> None:
    measured = Series("memory-idle", "memory", "MB", "less", {"ours": [119.0], "base": [70.0]}, [10.0])
    found = row(measured, "ours", "base", {"memory-idle": Goal(120.0, absolute=True)})
    assert (found.goal, found.reached, found.floor, found.above_floor) == ("≤ 120 MB", True, 10.0, 11.9)


def test_no_verdict_without_figure_or_rival() -> None:
    assert row(series(base=[1.0]), "ours", "base").reached is None
    assert row(series(base=[1.0]), "base", "base").goal == ""


def test_derived_series() -> None:
    found = {
        each.name: each.samples
        for each in derive(
            [
                series("memory-1", a=[100.5], b=[50.0]),
                series("memory-100", a=[150.0]),
                series("start-beside-1", a=[10.0], b=[0.5]),
                series("start-beside-200", a=[12.0], b=[1.0]),
            ]
        )
    }
    assert found["memory-each"] == {"a": [0.5]}
    assert found["start-growth"] == {"a": [1.2], "b": [2.0]}
    assert derive([]) == []


@given(POSITIVE, POSITIVE)
def test_meets_is_one_sided(value: float, limit: float) -> None:
    assert meets(value, limit, "less") or meets(value, limit, "more")
    assert (meets(value, limit, "less") and meets(value, limit, "more")) == (value == limit)
