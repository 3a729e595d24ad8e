from __future__ import annotations

from typing import Literal

from services.migrator.domain.duties import Abandon, Duty, GiveUp, Resume, Stay, TakeOver, duties
from shared.contracts.migrator import MigrationRecord, Phase
from shared.contracts.moving import Move, MoveRef


def record(phase: Phase = "preparing", migration: str = "m") -> MigrationRecord:
    return MigrationRecord(
        id="c", migration=migration, name="web", source="s", target="t", source_name="s", target_name="t",
        strategy="cold", phase=phase,
    )  # fmt: skip


def of(
    node: str, role: Literal["leaving", "incoming", "departed"] | None = None, *records: MigrationRecord
) -> list[Duty]:
    moves = [Move(id="c", migration="m", role=role)] if role else []
    return list(duties(node, {each.id: each for each in records}, moves))


REF = MoveRef(id="c", migration="m")


def test_the_source_takes_up_what_has_a_record() -> None:
    assert of("s", "leaving", record()) == [Resume(record())]
    assert of("s", "departed", record("switched")) == [Resume(record("switched"))]


def test_the_target_takes_over_what_is_switched_and_waits_before() -> None:
    assert of("t", "incoming", record("switched")) == [TakeOver(record("switched"))]
    assert of("t", None, record("switched")) == [TakeOver(record("switched"))]  # taken over, perhaps not to the end
    assert of("t", "incoming", record()) == []
    assert of("t", "incoming", record("aborting")) == []


def test_what_no_record_explains_is_cleared_away() -> None:
    assert of("t", "incoming") == [Abandon(REF)]
    assert of("t", "incoming", record("switched", "another")) == [TakeOver(record("switched", "another")), Abandon(REF)]
    assert of("s", "leaving") == [Stay(REF)]
    assert of("s", "departed") == [GiveUp(REF)]


def test_others_migrations_are_theirs() -> None:
    assert of("x", None, record(), record("switched")) == []
