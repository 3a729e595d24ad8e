from tools.bench.floor import BURST, WORK
from tools.bench.measures import BURST as ENGINES_BURST


def test_the_floor_does_as_much_as_the_engines() -> None:
    assert BURST == ENGINES_BURST
    assert set(WORK) == {"cycle", "cycle-bridge", "burst", "exec", "cli-run"}
