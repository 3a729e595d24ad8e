"""What a client hears, and what is repeated."""

from __future__ import annotations

import time
from typing import Any

import pytest

from services.migrator.adapters import following
from services.migrator.adapters.following import Following
from services.migrator.adapters.steps import Counted
from services.migrator.domain import machine
from services.migrator.domain.machine import Done, Event, Failed, Step
from shared.contracts.migrator import MigrationRecord, Progress


class Steps:
    """Steps that say what they are told to."""

    def __init__(self, *answers: Event) -> None:
        self.record = MigrationRecord(
            id="c", migration="m", name="web", source="s", target="t", source_name="s", target_name="t", strategy="cold"
        )
        self.counted = Counted()
        self.still_from = self.still_until = 0.0
        self.done: list[Step] = []
        self._answers = {answer.step: [answer] for answer in answers if not isinstance(answer, machine.Cancel)}

    async def do(self, step: Step) -> Event:
        self.done.append(step)
        self.counted.file_bytes += 10 if step == "copy" else 0
        self.still_until = time.monotonic() if step == "take_over" else self.still_until
        left = self._answers.get(step)
        return left.pop() if left else Done(step)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.001)


async def follow(steps: Steps, canceled: str = "") -> tuple[machine.State, list[Progress]]:
    told: list[Progress] = []
    made: Any = Following(steps, told.append)  # type: ignore[arg-type]
    if canceled:
        made.cancel(canceled)
    return await made.follow(machine.begin("cold")), told


async def test_steps_and_figures_are_told() -> None:
    steps = Steps()
    state, told = await follow(steps)
    assert state.moved
    assert [each.step for each in told[:-1]] == list(machine.STEPS["cold"]) == steps.done
    assert told[4].bytes == 10
    assert told[-1].result is not None
    assert (told[-1].result.strategy, told[-1].result.file_bytes) == ("cold", 10)
    assert set(told[-1].result.steps) == set(steps.done)
    assert told[-1].result.total_ms >= told[-1].result.freeze_ms >= 0
    assert steps.still_until > steps.still_from > 0


async def test_while_it_stands_still_nobody_is_told() -> None:
    """Who hears of a step takes processor time."""
    told: list[Progress] = []
    last: dict[str, str] = {}

    class Watching(Steps):
        async def do(self, step: Step) -> Event:
            last[step] = told[-1].step if told else ""
            return await super().do(step)

    made: Any = Following(Watching(), told.append)  # type: ignore[arg-type]
    await made.follow(machine.begin("copy"))
    assert {last[step] for step in ("freeze", "detach", "capture", "switch", "take_over")} == {"hold"}
    assert [each.step for each in told[:-1]] == list(machine.STEPS["copy"])


async def test_what_follows_the_switch_is_repeated() -> None:
    steps = Steps(Failed("give_up", "away"))
    state, told = await follow(steps)
    assert state.moved
    assert steps.done.count("give_up") == 2
    assert told[-1].result is not None


async def test_a_failure_and_a_wish_take_back() -> None:
    steps = Steps(Failed("copy", "disk full"))
    _, told = await follow(steps)
    assert told[-1].error == "disk full"
    assert [each.step for each in told if each.undo] == ["stay", "abandon", "forget"]
    assert [each.text for each in told if each.text] == ["disk full"]
    steps = Steps()
    _, told = await follow(steps, canceled="enough")
    assert told[-1].error == "enough"
    assert "switch" not in steps.done
