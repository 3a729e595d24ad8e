import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from tools.bench.client import ApiError
from tools.bench.engine import Engine
from tools.bench.floor_process import FloorError, FloorProcess
from tools.bench.measures import Measure, Sampler
from tools.bench.runner import describe, run, take


class Recorded:
    """Stands for an engine: says what is done to it in which order."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.population: list[str] = []

    def sweep(self) -> None:
        self.log.append(f"{self.name} is empty")
        self.population.clear()

    disposable = False
    pile: tuple[str, ...] = ()

    def heap(self, size: int) -> None:
        if size:
            self.log.append(f"{self.name} heaps {size}")

    def grow(self, size: int) -> None:
        self.log.append(f"{self.name} grows to {size}")
        self.population += ["x"] * (size - len(self.population))


@contextmanager
def sampled(engine: Engine) -> Iterator[Sampler]:
    recorded = cast(Recorded, engine)
    recorded.log.append(f"prepare {engine.name}")

    def sample() -> float:
        recorded.log.append(engine.name)
        return float(len(recorded.log))

    yield sample
    recorded.log.append(f"end {engine.name}")


@contextmanager
def failing(engine: Engine) -> Iterator[Sampler]:
    def sample() -> float:
        raise ApiError(501, "not implemented")

    yield sample


def engines(log: list[str], *names: str) -> list[Engine]:
    return [cast(Engine, Recorded(name, log)) for name in names]


def test_engines_take_turns_in_rotating_order() -> None:
    log: list[str] = []
    found = take(Measure("m", "m", "ms", sampled), engines(log, "a", "b"), None, 3)
    assert log == ["prepare a", "prepare b", "a", "b", "b", "a", "a", "b", "end b", "end a"]
    assert {name: len(values) for name, values in found.samples.items()} == {"a": 3, "b": 3}


def test_the_first_of_many_rounds_warms_up() -> None:
    found = take(Measure("m", "m", "ms", sampled), engines([], "a"), None, 5)
    assert len(found.samples["a"]) == 5
    assert min(found.samples["a"]) > 2


def test_who_fails_is_named_and_the_others_go_on() -> None:
    @contextmanager
    def mixed(engine: Engine) -> Iterator[Sampler]:
        with (failing if engine.name == "a" else sampled)(engine) as sampler:
            yield sampler

    found = take(Measure("m", "m", "ms", mixed), engines([], "a", "b"), None, 2)
    assert found.errors == {"a": "501: not implemented"}
    assert set(found.samples) == {"b"}


def test_populations_grow_from_small_to_large() -> None:
    log: list[str] = []
    measures = [Measure("late", "late", "ms", sampled, population=3), Measure("early", "early", "ms", sampled)]
    series = run(measures, engines(log, "a", "b"), None, 1, lambda text: None)
    assert [each.name for each in series] == ["early", "late"]
    assert [line for line in log if " " in line and "prep" not in line and "end" not in line] == [
        "a grows to 3",
        "a is empty",
        "b grows to 3",
        "b is empty",
    ]
    assert [set(each.samples) for each in series] == [{"a", "b"}] * 2


def test_floor_is_sampled_beside() -> None:
    class Floor:
        def sample(self, name: str) -> float:
            if name == "broken":
                raise FloorError("log line\nthe reason")
            return 7.0

    floor = cast(FloorProcess, Floor())
    assert take(Measure("m", "m", "ms", sampled, floor="cycle"), engines([], "a"), floor, 2).floor == [7.0, 7.0]
    broken = take(Measure("m", "m", "ms", sampled, floor="broken"), engines([], "a"), floor, 2)
    assert (broken.floor, broken.errors) == ([], {"floor": "the reason"})


def test_describe_is_one_line() -> None:
    failed = subprocess.CalledProcessError(1, "docker", stderr=b"\nfirst\nsecond\n")
    assert describe(failed) == "first"
    assert describe(RuntimeError()) == "RuntimeError"


def test_heaps_of_what_does_not_run_come_after_what_runs() -> None:
    log: list[str] = []
    measures = [
        Measure("h", "h", "ms", sampled, rounds=1, created=9),
        Measure("p", "p", "ms", sampled, rounds=1, population=2),
    ]
    run(measures, engines(log, "a"), None, 0, lambda text: None)
    order = [line for line in log if line in ("a grows to 2", "a is empty", "a heaps 9")]
    assert order == ["a grows to 2", "a is empty", "a heaps 9", "a is empty"]
