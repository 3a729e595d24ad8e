"""The figures as a table for people (text or Markdown) and as a document for machines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tools.bench.summary import Row, Series

ABSENT = "–"


def number(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return ABSENT
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def header(engines: Sequence[str], subject: str, base: str) -> list[str]:
    """The names of the columns."""
    ratios = [f"{engine} / {base}" for engine in engines if engine != base]
    return ["measure", "unit", *engines, *ratios, "floor", f"{subject} / floor", "goal"]


def cells(row: Row, engines: Sequence[str], base: str) -> list[str]:
    """The texts of one line, in the order of `header`."""
    values = [number(row.medians.get(engine)) + ("*" if engine in row.errors else "") for engine in engines]
    ratios = [number(row.ratios.get(engine)) for engine in engines if engine != base]
    verdict = {None: "", True: " ✓", False: " ✗"}[row.reached]
    return [row.title, row.unit, *values, *ratios, number(row.floor), number(row.above_floor), row.goal + verdict]


def markdown(rows: Sequence[Row], engines: Sequence[str], subject: str, base: str) -> str:
    """A GitHub table; figures are medians, a star marks what an engine could not do, explained below."""
    head = header(engines, subject, base)
    lines = ["| " + " | ".join(head) + " |", "| --- | --- |" + " ---: |" * (len(head) - 3) + " --- |"]
    lines += ["| " + " | ".join(cells(row, engines, base)) + " |" for row in rows]
    notes = notes_of(rows)
    return "\n".join(lines + ([""] if notes else []) + [f"\\* {note}" for note in notes]) + "\n"


def notes_of(rows: Sequence[Row]) -> list[str]:
    """What failed, a line each."""
    return [f"{row.title}, {engine}: {error}" for row in rows for engine, error in row.errors.items()]


def table(rows: Sequence[Row], engines: Sequence[str], subject: str, base: str) -> Table:
    """For the terminal."""
    drawn = Table(title=f"medians; ratios to {base}", caption="\n".join(notes_of(rows)), title_justify="left")
    for position, name in enumerate(header(engines, subject, base)):
        drawn.add_column(name, justify="left" if position < 2 else "right")
    for row in rows:
        drawn.add_row(*cells(row, engines, base))
    return drawn


def document(series: Sequence[Series], rows: Sequence[Row], machine: dict[str, object]) -> dict[str, object]:
    """Everything measured, samples included, for `--json`."""
    by_name = {row.name: row for row in rows}
    return {
        "machine": machine,
        "measures": {
            each.name: {
                "title": each.title,
                "unit": each.unit,
                "better": each.better,
                "samples": {engine: list(values) for engine, values in each.samples.items()},
                "floor": list(each.floor),
                "medians": dict(by_name[each.name].medians),
                "ratios": dict(by_name[each.name].ratios),
                "goal": by_name[each.name].goal,
                "reached": by_name[each.name].reached,
                "errors": dict(each.errors),
            }
            for each in series
        },
    }
