"""What a run of pytest came to, and two of them side by side."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

Outcomes = Mapping[str, str]
"""Test to `passed`, `failed` or `skipped`."""


def read(junit: Path) -> Outcomes:
    """The outcomes in a JUnit file; a test that fails in its clean-up has failed."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}".removeprefix("tests.")
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if found.get(name) != "failed":
            found[name] = outcome
    return found


def reasons(junit: Path) -> Mapping[str, str]:
    """Of each failed test, the line that says why."""
    return {
        f"{case.get('classname')}.{case.get('name')}".removeprefix("tests."): child.get("message", "").split("\n")[0]
        for case in ElementTree.parse(junit).iter("testcase")
        for child in case
        if child.tag in ("failure", "error")
    }


def table(runs: Mapping[str, Outcomes]) -> str:
    """Markdown: how many of each outcome, then every test that did not pass everywhere."""
    lines = ["| engine | passed | failed | skipped |", "| --- | ---: | ---: | ---: |"]
    for engine, outcomes in runs.items():
        count = Counter(outcomes.values())
        lines.append(f"| {engine} | {count['passed']} | {count['failed']} | {count['skipped']} |")
    lines += ["", f"| test | {' | '.join(runs)} |", f"| --- |{' --- |' * len(runs)}"]
    for test in sorted({test for outcomes in runs.values() for test in outcomes}):
        row = [outcomes.get(test, "–") for outcomes in runs.values()]
        if set(row) != {"passed"}:
            lines.append(f"| {test} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def behind(ours: Outcomes, reference: Outcomes) -> list[str]:
    """The tests that the reference passes and we do not."""
    return sorted(test for test, outcome in reference.items() if outcome == "passed" and ours.get(test) != "passed")
