import pytest

from tools.shoal.processes import Process
from tools.shoal.status import duration, megabytes, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (8.7, "8s"), (60, "1m0s"), (72, "1m12s"), (7500, "2h5m"), (3 * 86400 + 4 * 3600 + 59, "3d4h")],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


def test_the_table_ends_with_the_sum():
    rows = [
        Process(name="gateway", pid=7, state="running", uptime_s=5, memory_bytes=1_500_000),
        Process(name="executor", pid=0, state="stopped", uptime_s=0, memory_bytes=0),
    ]
    lines = table(rows).splitlines()
    assert lines[1].split() == ["gateway", "7", "running", "5s", "1.5", "MB"]
    assert lines[2].split()[1:3] == ["-", "stopped"]
    assert lines[-1].split() == ["total", "1.5", "MB"]
    assert megabytes(0) == "0.0 MB"
