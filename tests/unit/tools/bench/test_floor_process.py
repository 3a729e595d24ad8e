import pytest

from tools.bench.floor_process import FloorError, FloorProcess, program


@pytest.fixture(scope="module")
def samples() -> dict[str, float]:
    with FloorProcess() as floor:
        return {name: floor.sample(name) for name in ("cycle", "cycle-bridge", "exec")}


def test_floor_is_measured(samples: dict[str, float]) -> None:
    assert all(0 < value < 10_000 for value in samples.values())


def test_what_it_does_not_know_is_an_error() -> None:
    with FloorProcess() as floor, pytest.raises(FloorError, match="nonsense"):
        floor.sample("nonsense")


def test_before_it_is_started() -> None:
    with pytest.raises(FloorError, match="not started"):
        FloorProcess().sample("cycle")


def test_programs() -> None:
    assert program("sh")
    with pytest.raises(FloorError, match="is not installed"):
        program("no-such-program")
