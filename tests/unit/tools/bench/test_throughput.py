import time
from pathlib import Path

import pytest

from tools.bench.client import Incomplete
from tools.bench.throughput import SIZE, check, rate, text


def test_text_is_what_is_counted() -> None:
    with text() as mounted:
        source, target, mode = mounted["HostConfig"]["Binds"][0].split(":")
        assert Path(source).stat().st_size == SIZE
        assert (target, mode) == ("/text", "ro")
    assert not Path(source).exists()


def test_lost_bytes_are_told() -> None:
    check(5, 5)
    with pytest.raises(Incomplete, match="4 of 5 bytes"):
        check(4, 5)


def test_rate() -> None:
    assert rate(2_000_000, time.perf_counter() - 1) == pytest.approx(2, rel=0.2)
