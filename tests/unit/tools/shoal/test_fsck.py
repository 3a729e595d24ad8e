from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.shoal.__main__ import app


def test_it_says_what_cannot_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_STATE_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("SHOAL_RUN_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["fsck"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no image store; is state_dir set as for the engine?" in result.stderr


def test_other_commands_do_without_the_image_store() -> None:
    code = "import sys, tools.shoal.__main__; print([name for name in sys.modules if name.startswith('services.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
