"""The generated files, and whether they are as the declarations say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared import contracts
from shared.contracts.base import Contract
from shared.contracts.document import document

from .compatibility import breaches

FOLDER = Path(contracts.__file__).parent / "schema"
RELEASED = "released"
"""The folder inside with the documents of the last release."""


def file_name(contract: Contract) -> str:
    """Name of a contract's document."""
    return f"{contract.name}.{contract.version}.json"


def text(contract: Contract) -> str:
    """The document as it is checked in."""
    return msgspec.json.format(msgspec.json.encode(document(contract)), indent=2).decode() + "\n"


def generate(declared: Mapping[str, Contract], folder: Path) -> list[Path]:
    """Writes all documents and removes those of contracts that are no more; the files that changed."""
    folder.mkdir(exist_ok=True)
    wanted = {folder / file_name(contract): text(contract) for contract in declared.values()}
    gone = [path for path in folder.glob("*.json") if path not in wanted]
    changed = [path for path, content in wanted.items() if _read(path) != content]
    for path in changed:
        path.write_text(wanted[path])
    for path in gone:
        path.unlink()
    return sorted([*changed, *gone])


def complaints(declared: Mapping[str, Contract], folder: Path) -> list[str]:
    """Documents that are stale, and what breaks the promises of the last release."""
    wanted = {folder / file_name(contract): contract for contract in declared.values()}
    found = [f"{path.name}: stale; run: python -m tools.contracts generate" for path in _stale(wanted, folder)]
    for path in sorted((folder / RELEASED).glob("*.json")):
        contract = wanted.get(folder / path.name)
        present = document(contract) if contract else {}
        old = msgspec.json.decode(path.read_bytes())
        found += [f"{path.name}: {breach}" for breach in breaches(old, present)]
    return found


def _stale(wanted: Mapping[Path, Contract], folder: Path) -> list[Path]:
    present = set(folder.glob("*.json"))
    return sorted((present - set(wanted)) | {path for path, one in wanted.items() if _read(path) != text(one)})


def release(declared: Mapping[str, Contract], folder: Path) -> None:
    """The present documents become the ones that later changes are measured by."""
    (folder / RELEASED).mkdir(parents=True, exist_ok=True)
    for contract in declared.values():
        (folder / RELEASED / file_name(contract)).write_text(text(contract))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
