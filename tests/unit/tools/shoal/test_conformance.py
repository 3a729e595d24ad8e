from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.shoal import conformance
from tools.shoal.__main__ import app


def test_a_contract_without_a_suite_is_refused() -> None:
    result = CliRunner().invoke(app, ["conformance", "nope"])
    assert "no suite for 'nope'; there are: " in str(result.exception)
    assert "volume" in str(result.exception)


def test_the_suite_is_run_against_whoever_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def call(arguments: list[str], cwd: Path, env: dict[str, str]) -> int:
        calls.append((arguments, env))
        return 7

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setenv("SHOAL_STATE_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["conformance", "volume", "--nats", "nats://h:1", "--node", "n2"])
    assert result.exit_code == 7
    [(arguments, environment)] = calls
    assert arguments[0] == sys.executable
    assert arguments[-1] == str(conformance.SUITES / "volume")
    assert environment["SHOAL_CONFORMANCE_NATS"] == "nats://h:1"
    assert environment["SHOAL_CONFORMANCE_NODE"] == "n2"
    assert "SHOAL_CONFORMANCE_SEED" not in environment
