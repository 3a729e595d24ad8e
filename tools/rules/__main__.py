"""`python -m tools.rules [FOLDER]`: checks the tree at FOLDER (default: the current one)."""

from __future__ import annotations

import sys
from pathlib import Path

from .structure import ROOMS, check


def main() -> int:
    """Exit code 1 when a rule is broken."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    paths = sorted(path for room in (*ROOMS, "tests") for path in (root / room).rglob("*.py"))
    breaches = check([(path.relative_to(root).as_posix(), path.read_text()) for path in paths])
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
