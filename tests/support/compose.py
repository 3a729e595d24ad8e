"""Docker Compose, both generations, outside of the system's packages: 2.26 as Debian 13 has it, 1.29 from PyPI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.cache import kept, kept_file
from tests.support.debian import SUITE, packages
from tools.toolchain.debian import unpack

_PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
_OLD = (
    "docker-compose==1.29.2", "docker[ssh]==6.1.3", "requests<2.32", "urllib3<2", "setuptools<80",
    "standard-pipes; python_version >= '3.13'",
)  # fmt: skip
"""It is not maintained any more: it needs what was there in its days."""
_BUILDS_WITH = "cython<3\n"
"""Its PyYAML 5 is built from source."""


def compose_2() -> Path:
    """The program; of its package's dependencies it needs only the C library."""

    def make(folder: Path) -> Path:
        assumed = ("docker-cli", "docker.io", "libc6", "libgcc-s1")
        for package in packages(folder / "apt", ("docker-compose",), assumed):
            unpack(package, folder / "unpacked")
        return folder / "unpacked" / _PLUGIN

    return kept_file("programs", f"docker-compose-{SUITE}", make=make)


def compose_1() -> Path:
    """The program in an environment of its own."""
    with kept("programs", "docker-compose-1.29.2") as path:
        if not (path / "complete").exists():
            subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", path], check=True)
            constraint = path / "constraint.txt"
            constraint.write_text(_BUILDS_WITH)
            command = [
                str(path / "bin/python"),
                "-m",
                "pip",
                "install",
                "-qq",
                "--disable-pip-version-check",
                "--no-input",
            ]
            subprocess.run([*command, *_OLD], check=True, env={**os.environ, "PIP_CONSTRAINT": str(constraint)})
            (path / "complete").touch()
    return path / "bin/docker-compose"
