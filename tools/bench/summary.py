"""From samples to figures: medians, ratios, goals. Values in, values out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["less", "more"]


@dataclass(frozen=True)
class Series:
    """The samples of one measure: engine to values in `unit`; an engine that could not do it has its error instead."""

    name: str
    title: str
    unit: str
    better: Better
    samples: Mapping[str, Sequence[float]]
    floor: Sequence[float] = ()
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """What `subject` has to reach: its ratio to the base engine, or (absolute) its own figure."""

    limit: float
    absolute: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table. Ratios are to the base engine's median; None where either lacks."""

    name: str
    title: str
    unit: str
    better: Better
    medians: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    floor: float | None
    above_floor: float | None
    goal: str
    reached: bool | None
    errors: Mapping[str, str]


GOALS: Mapping[str, Goal] = {
    "cli-run": Goal(0.25),
    "cycle": Goal(0.15),
    "cycle-bridge": Goal(0.20),
    "burst": Goal(0.25),
    "exec": Goal(0.3),
    "build-cold": Goal(0.7),
    "build-cached": Goal(0.3),
    "load": Goal(0.8),
    "pull": Goal(0.8),
    "save": Goal(1.0),
    "push": Goal(1.0),
    "list-200": Goal(1.0),
    "inspect": Goal(1.0),
    "logs": Goal(3.0),
    "attach": Goal(2.0),
    "ping": Goal(0.7),
    "reads": Goal(0.7),
    "reads-changed": Goal(0.7),
    "tag": Goal(0.7),
    "rename": Goal(0.7),
    "volume": Goal(1.0),
    "events": Goal(0.7),
    "list-1000": Goal(0.7),
    "inspect-1000": Goal(0.7),
    "network": Goal(1.0),
    "tcp": Goal(1.0),
    "published": Goal(1.0),
    "names": Goal(1.0),
    "copy-in": Goal(1.0),
    "copy-out": Goal(1.0),
    "memory-idle": Goal(120.0, absolute=True),
    "memory-each": Goal(0.6, absolute=True),
    "cpu-idle": Goal(0.5, absolute=True),
    "start-growth": Goal(1.3, absolute=True),
}


def median(samples: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(samples) if samples else None


def ratio(value: float | None, base: float | None) -> float | None:
    """value / base; None where one lacks or base is 0."""
    return value / base if value is not None and base else None


def derive(series: Sequence[Series]) -> list[Series]:
    """The series with two that follow from others: memory of each running container, growth of the start time."""
    by_name = {each.name: each for each in series}
    derived = list(series)
    first, full = by_name.get("memory-1"), by_name.get("memory-100")
    if first and full:  # not since the engine was idle: what came between has left something in it
        each = _combine(full, first, lambda many, one: (many - one) / 99)
        derived.append(Series("memory-each", "memory of each running container", "MB", "less", each))
    one, many = by_name.get("start-beside-1"), by_name.get("start-beside-200")
    if one and many:
        growth = _combine(many, one, lambda beside200, beside1: beside200 / beside1)
        derived.append(Series("start-growth", "start beside 200 / beside 1", "times", "less", growth))
    return derived


def _combine(first: Series, second: Series, how: Callable[[float, float], float]) -> dict[str, list[float]]:
    combined = {}
    for engine in first.samples:
        a, b = median(first.samples[engine]), median(second.samples.get(engine, ()))
        if a is not None and b:
            combined[engine] = [how(a, b)]
    return combined


def row(series: Series, subject: str, base: str, goals: Mapping[str, Goal] = GOALS) -> Row:
    """What the table says of one series. `reached` judges the subject's figure against its goal."""
    medians = {engine: median(values) for engine, values in series.samples.items()}
    ratios = {engine: ratio(value, medians.get(base)) for engine, value in medians.items()}
    floor = median(series.floor)
    goal = goals.get(series.name) if subject != base else None
    judged = None if goal is None else medians.get(subject) if goal.absolute else ratios.get(subject)
    return Row(
        series.name,
        series.title,
        series.unit,
        series.better,
        medians,
        ratios,
        floor,
        ratio(medians.get(subject), floor),
        _goal_text(goal, series),
        None if goal is None or judged is None else meets(judged, goal.limit, series.better),
        series.errors,
    )


def meets(value: float, limit: float, better: Better) -> bool:
    """Whether value is within limit, to the better side."""
    return value <= limit if better == "less" else value >= limit


def _goal_text(goal: Goal | None, series: Series) -> str:
    if goal is None:
        return ""
    sign = "≤" if series.better == "less" else "≥"
    return f"{sign} {goal.limit:g} {series.unit if goal.absolute else 'times'}"
