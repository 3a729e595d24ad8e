from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain import progress


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (2140160, "2.14MB"), (1984394, "1.984MB"), (5 * 10**12, "5TB")],
)
def test_sizes_as_people_read_them(size: int, text: str) -> None:
    assert progress.human_size(size) == text


def test_a_step_as_dockerd_writes_it() -> None:
    assert json.loads(progress.step("Loading layer", "37de40ebf832", 32768, 2140160)) == {
        "status": "Loading layer",
        "progressDetail": {"current": 32768, "total": 2140160},
        "progress": "[>                                                  ]  32.77kB/2.14MB",
        "id": "37de40ebf832",
    }
    assert progress.bar(2140160, 2140160) == "[" + "=" * 50 + ">]   2.14MB/2.14MB"


def test_without_a_total_only_what_has_come_is_shown() -> None:
    assert progress.bar(0, 0) == ""
    assert progress.bar(1000, 0) == progress.bar(1000, 10) == "     1kB"


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_the_bar_never_bursts(current: int, total: int) -> None:
    text = progress.bar(current, total)
    assert text.partition("]")[0].count("=") <= 50


def test_lines() -> None:
    assert json.loads(progress.stream("a\n")) == {"stream": "a\n"}
    assert json.loads(progress.status("a")) == {"status": "a"}
    assert json.loads(progress.error("no", 400)) == {"errorDetail": {"code": 400, "message": "no"}, "error": "no"}
    assert progress.stream("x").endswith(b"}\r\n")
