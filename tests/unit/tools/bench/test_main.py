from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tools.bench.__main__ import app, chosen, machine, pairs
from tools.bench.measures import MEASURES


def test_pairs() -> None:
    assert pairs(["a=unix:///x=y", "b=c"], "--engine") == {"a": "unix:///x=y", "b": "c"}
    for wrong in ("a", "=b", "a="):
        with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
            pairs([wrong], "--engine")


def test_chosen_measures() -> None:
    assert chosen("") == list(MEASURES)
    assert [measure.name for measure in chosen("exec, ping")] == ["ping", "exec"]
    with pytest.raises(typer.BadParameter, match="nonsense"):
        chosen("ping,nonsense")


def test_nothing_to_measure(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "nothing to measure" in result.output


def test_processes_of_an_unknown_engine() -> None:
    result = CliRunner().invoke(app, ["--processes", "other=pid:1"])
    assert result.exit_code == 2
    assert "no engine is called other" in result.output


def test_machine_says_on_what() -> None:
    assert machine()["cpus"]
