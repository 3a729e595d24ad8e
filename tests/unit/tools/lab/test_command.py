import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    shoal(tmp_path / "lab", "down")


def shoal(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tools.shoal", "lab", *arguments]
    environment = {**os.environ, "SHOAL_LAB": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_command_on_a_host(folder: Path) -> None:
    assert "shoal lab sh 1 -- shoal up" in shoal(folder, "up", "--nodes", "1").stdout
    told = shoal(folder, "sh", "1", "--", "sh", "-c", "hostname; echo $DOCKER_HOST; command -v shoal; exit 3")
    assert (told.stdout, told.returncode) == (
        f"node1\nunix:///run/shoal/docker.sock\n{folder}/bin/shoal\n",
        3,
    )
    assert shoal(folder, "sh", "1", "--", "shoal", "lab", "--help").returncode == 0
    for refused in (["sh", "2", "true"], ["cut", "1", "2"], ["kill", "0"]):
        assert "the lab has hosts 1 to 1" in shoal(folder, *refused).stderr
    assert shoal(folder, "kill", "1").returncode == 0
    assert shoal(folder, "sh", "1", "true").stderr == "shoal: node1 does not run\n"
    assert shoal(folder, "start", "1").returncode == 0
    assert shoal(folder, "sh", "1", "true").returncode == 0


def test_without_a_lab(folder: Path) -> None:
    assert "make one with: shoal lab up" in shoal(folder, "sh", "1").stderr
