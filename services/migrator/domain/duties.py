"""What a host has to do for migrations that others left unfinished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.contracts.migrator import MigrationRecord
from shared.contracts.moving import Move, MoveRef


@dataclass(frozen=True)
class Resume:
    """A migration from here goes on, or is taken back."""

    record: MigrationRecord


@dataclass(frozen=True)
class TakeOver:
    """The container is this host's by the record, and perhaps not yet by its own."""

    record: MigrationRecord


@dataclass(frozen=True)
class Abandon:
    """What was made here for a container that will not come."""

    ref: MoveRef


@dataclass(frozen=True)
class Stay:
    """A container that is marked as leaving, and that nobody moves any more; its processes went by `driver`."""

    ref: MoveRef
    driver: str = ""


@dataclass(frozen=True)
class GiveUp:
    """What is left here of a container that has moved."""

    ref: MoveRef
    driver: str = ""


Duty = Resume | TakeOver | Abandon | Stay | GiveUp


def duties(node: str, records: Mapping[str, MigrationRecord], moves: Iterable[Move]) -> Iterator[Duty]:
    """`records`: the unfinished migrations, by container; `moves`: what this host's executor has of any."""
    for record in records.values():
        if record.source == node:
            yield Resume(record)
        elif record.target == node and record.phase == "switched":
            yield TakeOver(record)
    for move in moves:
        record_of = records.get(move.id)
        if record_of is None or record_of.migration != move.migration:
            yield _left(move)


def _left(move: Move) -> Duty:
    ref = MoveRef(id=move.id, migration=move.migration)
    if move.role == "incoming":
        return Abandon(ref)
    return (Stay if move.role == "leaving" else GiveUp)(ref, move.driver)
