"""`python -m tools.contracts generate|check|release|permissions SERVICE`."""

from __future__ import annotations

import argparse
import json
import sys

from shared.contracts import CONTRACTS
from shared.contracts.permissions import permissions

from . import documents


def main() -> int:
    """Exit code 1 when `check` or `release` finds something."""
    arguments = _parser().parse_args()
    if arguments.command == "permissions":
        print(json.dumps(permissions(CONTRACTS[arguments.service], CONTRACTS), indent=2))
        return 0
    if arguments.command == "generate":
        for path in documents.generate(CONTRACTS, documents.FOLDER):
            print(path.name)
        return 0
    found = documents.complaints(CONTRACTS, documents.FOLDER)
    for complaint in found:
        print(complaint)
    if arguments.command == "release" and not found:
        documents.release(CONTRACTS, documents.FOLDER)
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.contracts", description="The published contracts.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("generate", help="write the documents")
    commands.add_parser("check", help="complain of stale documents and of broken promises")
    commands.add_parser("release", help="make the present documents the promise that later ones are measured by")
    granted = commands.add_parser("permissions", help="print the broker permissions of a service")
    granted.add_argument("service", choices=sorted(CONTRACTS))
    return parser


if __name__ == "__main__":
    sys.exit(main())
