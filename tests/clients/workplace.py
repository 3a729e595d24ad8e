"""What a suite needs on this machine, made once: its tests unpacked, and a Python environment of its own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.suites import Suite
from tests.support.cache import kept


def sources(suite: Suite) -> Path:
    """The suite's source distribution, unpacked; nothing of it is built or installed."""
    with kept("sources", suite.sdist.replace("==", "-")) as target:
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                command = ["download", "--no-deps", "--no-binary", suite.sdist.partition("==")[0], "--dest", folder]
                _pip(Path(sys.executable), *command, suite.sdist)
                [archive] = Path(folder).glob("*.tar.gz")
                subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
                [unpacked] = (each for each in Path(folder).iterdir() if each.is_dir())
                unpacked.rename(target)
    return target


def python(suite: Suite) -> Path:
    """The interpreter of an environment that has what the suite requires."""
    name = hashlib.sha256("\n".join(suite.requires).encode()).hexdigest()[:16]
    with kept("environments", name) as target:
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            subprocess.run(["/usr/bin/python3", "-m", "venv", target], check=True)
            _pip(target / "bin/python", "install", *suite.requires)
            (target / "complete").touch()
    return target / "bin/python"


def _pip(interpreter: Path, *arguments: str) -> None:
    quiet = ["-qq", "--disable-pip-version-check", "--no-input"]
    subprocess.run([interpreter, "-m", "pip", *arguments[:1], *quiet, *arguments[1:]], check=True)
