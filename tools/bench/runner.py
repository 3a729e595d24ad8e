"""Takes the samples: round by round, one of each engine in turn, so that a busy machine is busy for all of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPException

from tools.bench.client import ApiError, Incomplete
from tools.bench.engine import Engine
from tools.bench.floor_process import FloorError, FloorProcess
from tools.bench.measures import Measure, Sampler
from tools.bench.summary import Series

FAILURES = (ApiError, Incomplete, HTTPException, OSError, RuntimeError, subprocess.CalledProcessError)
Report = Callable[[str], None]


def run(
    measures: Iterable[Measure], engines: Sequence[Engine], floor: FloorProcess | None, rounds: int, report: Report
) -> list[Series]:
    """All measures; at most `rounds` samples of each, 0: what it wants.

    Those beside running containers come last and engine by engine, so that no engine bears the others' containers.
    """
    ordered = sorted(measures, key=lambda each: (each.created, each.population))
    plain = [measure for measure in ordered if not (measure.population or measure.created)]
    crowded = [measure for measure in ordered if measure.population or measure.created]
    series = []
    for measure in plain:
        report(measure.title)
        series.append(take(measure, engines, floor, min(rounds or measure.rounds, measure.rounds)))
    alone = [_crowded(crowded, engine, rounds, report) for engine in engines if crowded]
    return series + [merge(same) for same in zip(*alone, strict=True)]


def _crowded(measures: Sequence[Measure], engine: Engine, rounds: int, report: Report) -> list[Series]:
    """Measures beside running containers, of which there are more and more; they are removed afterwards."""
    series = []
    for measure in measures:
        report(f"{engine.name}: {measure.title}")
        if measure.created and not engine.pile:
            engine.sweep()
        engine.grow(measure.population)
        engine.heap(measure.created)
        series.append(take(measure, [engine], None, min(rounds or measure.rounds, measure.rounds)))
    if not engine.disposable:
        engine.sweep()
    return series


def merge(same: Sequence[Series]) -> Series:
    """One series of what several engines did apart."""
    samples = {engine: values for each in same for engine, values in each.samples.items()}
    errors = {engine: error for each in same for engine, error in each.errors.items()}
    return replace(same[0], samples=samples, errors=errors)


def take(measure: Measure, engines: Sequence[Engine], floor: FloorProcess | None, rounds: int) -> Series:
    """One measure. The first sample of each engine warms up and is dropped where there are more than three rounds."""
    samples: dict[str, list[float]] = {engine.name: [] for engine in engines}
    errors: dict[str, str] = {}
    bare: list[float] = []
    with ExitStack() as stack:
        samplers = _prepare(measure, engines, stack, errors)
        for number in range(rounds + (1 if rounds > 3 else 0)):
            keep = number > 0 or rounds <= 3
            for name, sampler in _turn(samplers, number):
                value = _sample(name, sampler, errors)
                if value is not None and keep:
                    samples[name].append(value)
            if floor is not None and measure.floor and keep:
                bare += _floor(floor, measure.floor, errors)
    kept = {name: values for name, values in samples.items() if name not in errors}
    return Series(measure.name, measure.title, measure.unit, measure.better, kept, bare, errors)


def _prepare(
    measure: Measure, engines: Sequence[Engine], stack: ExitStack, errors: dict[str, str]
) -> list[tuple[str, Sampler]]:
    samplers = []
    for engine in engines:
        try:
            samplers.append((engine.name, stack.enter_context(measure.prepare(engine))))
        except FAILURES as error:
            errors[engine.name] = describe(error)
    return samplers


def _turn(samplers: Sequence[tuple[str, Sampler]], number: int) -> list[tuple[str, Sampler]]:
    """The engines in an order that rotates from round to round."""
    shift = number % len(samplers) if samplers else 0
    return [*samplers[shift:], *samplers[:shift]]


def _sample(name: str, sampler: Sampler, errors: dict[str, str]) -> float | None:
    if name in errors:
        return None
    try:
        return sampler()
    except FAILURES as error:
        errors[name] = describe(error)
        return None


def _floor(floor: FloorProcess, name: str, errors: dict[str, str]) -> list[float]:
    if "floor" in errors:
        return []
    try:
        return [floor.sample(name)]
    except FloorError as error:
        errors["floor"] = describe(error)
        return []


def describe(error: BaseException) -> str:
    """One line that says what failed."""
    text = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else str(error)
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if isinstance(error, FloorError) else 0].strip()
