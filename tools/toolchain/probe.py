"""Asks the programs themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .parts import Part, judge, parse_version, show

SECONDS = 120
"""Most answer at once; `criu check` takes a minute on an emulated machine."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Finding:
    """One program as found: where it is, its version, and why it cannot be used (empty: it can)."""

    part: Part
    path: Path | None
    version: str
    problem: str


def probe(part: Part, path: Path | None) -> Finding:
    """Runs the program at path and judges it."""
    if path is None or not os.access(path, os.X_OK):
        return Finding(part, None, "", f"{part.name} is not installed")
    printed, failed = _run(path, "--version")
    problem = failed or judge(part, printed)
    if not problem and part.self_test:
        said, failed = _run(path, *part.self_test)
        problem = failed and f"{path.name} {' '.join(part.self_test)}: {said or failed}"
    return Finding(part, path, show(parse_version(printed)), problem)


def on_system(part: Part) -> Finding:
    """The system's own program, as a login shell would find it."""
    found = shutil.which(part.name, path=SYSTEM_PATH)
    return probe(part, Path(found) if found else None)


def in_prefix(prefix: Path, parts: Iterable[Part]) -> list[Finding]:
    """The programs of a prefix."""
    return [probe(part, prefix / "bin" / part.name) for part in parts]


def _run(path: Path, *arguments: str) -> tuple[str, str]:
    """What the program printed, and why its run counts as failed (empty: it does not)."""
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode != 0:
        return (done.stderr or done.stdout).strip()[-300:], f"exit code {done.returncode}"
    return done.stdout, ""
