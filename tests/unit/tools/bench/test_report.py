import json

import pytest

from tools.bench.report import cells, document, header, markdown, notes_of, number, table
from tools.bench.summary import Series, row

SERIES = Series("cycle", "API cycle", "ms", "less", {"ours": [12.34], "base": [100.0]}, [6.0], {"third": "timed out"})
ROW = row(SERIES, "ours", "base")
NAMES = ["ours", "base", "third"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0.00"), (0.1234, "0.12"), (12.34, "12.3"), (123.4, "123"), (-5.0, "-5.00")]
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


def test_cells_fit_the_header() -> None:
    assert len(cells(ROW, NAMES, "base")) == len(header(NAMES, "ours", "base"))
    assert cells(ROW, NAMES, "base") == [
        "API cycle",
        "ms",
        "12.3",
        "100",
        "–*",
        "0.12",
        "–",
        "6.00",
        "2.06",
        "≤ 0.15 times ✓",
    ]


def test_markdown_is_a_table_with_its_notes() -> None:
    lines = markdown([ROW], NAMES, "ours", "base").splitlines()
    assert len({line.count("|") for line in lines[:3]}) == 1
    assert lines[-1] == "\\* API cycle, third: timed out"


def test_notes_and_table() -> None:
    assert notes_of([ROW]) == ["API cycle, third: timed out"]
    assert table([ROW], NAMES, "ours", "base").row_count == 1


def test_document_can_be_read_by_machines() -> None:
    found = json.loads(json.dumps(document([SERIES], [ROW], {"cpus": 2})))
    assert found["measures"]["cycle"]["samples"] == {"ours": [12.34], "base": [100.0]}
    assert found["measures"]["cycle"]["reached"] is True
    assert found["machine"] == {"cpus": 2}
