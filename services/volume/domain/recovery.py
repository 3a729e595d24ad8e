"""After a restart: records and folders are brought to agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

REMOVING = ".removing-"
"""Begin of the name of a folder whose volume is being removed; no volume can be called so."""


@dataclass(frozen=True)
class Mending:
    """`finish`: removals that were begun; `restore`: folders to make for records; `adopt`: volumes whose record
    was lost; `discard`: empty folders of volumes that were never acknowledged.
    """

    finish: tuple[str, ...]
    forget: tuple[str, ...]
    restore: tuple[str, ...]
    adopt: tuple[str, ...]
    discard: tuple[str, ...]


def mend(records: Collection[str], folders: Mapping[str, bool]) -> Mending:
    """Of the names of records and of folders (with whether anything is in them). Data is never thrown away."""
    finish = {name for name in folders if name.startswith(REMOVING)}
    begun = {name.removeprefix(REMOVING) for name in finish}
    plain = {name: filled for name, filled in folders.items() if not name.startswith(".")}
    without = {name: filled for name, filled in plain.items() if name not in records}
    return Mending(
        finish=tuple(sorted(finish)),
        forget=tuple(sorted(name for name in begun if name in records and name not in plain)),
        restore=tuple(sorted(name for name in records if name not in plain and name not in begun)),
        adopt=tuple(sorted(name for name, filled in without.items() if filled)),
        discard=tuple(sorted(name for name, filled in without.items() if not filled)),
    )
