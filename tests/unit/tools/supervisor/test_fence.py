from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from shared import tenure
from shared.config import Settings
from shared.tenure import SECOND, Desk, Tenure
from tools.supervisor import fence, records


class Groups:
    """Control groups with processes until they are killed."""

    def __init__(self, **running: bool) -> None:
        self.running = {f"/shoal/{name}" for name in running}
        self.thawed: list[str] = []
        self.killed: list[tuple[str, int, int]] = []

    def processes(self, group: str) -> list[int]:
        return [1] if group in self.running else []

    def exists(self, group: str) -> bool:
        return group in self.running

    def signal(self, group: str, number: int) -> None:
        self.running.discard(group)
        self.killed.append((group, number, tenure.now()))

    def frozen(self, group: str) -> bool:
        return group.endswith("paused")

    def freeze(self, group: str, frozen: bool) -> None:
        assert not frozen
        self.thawed.append(group)


@pytest.fixture
def settings(directory: Path) -> Settings:
    return Settings(run_dir=str(directory))


def use(monkeypatch: pytest.MonkeyPatch, groups: Groups) -> Any:
    monkeypatch.setattr(fence, "_groups", lambda: groups)
    return groups


def test_marked_containers_end_at_the_deadline_and_no_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, desk = use(monkeypatch, Groups(a=True, paused=True, bound=True)), Desk(settings)
    for name in ("a", "paused", "ended"):
        desk.mark(name, f"/shoal/{name}")
    deadline = tenure.now() + SECOND // 5
    desk.write(Tenure(number=1, deadline=deadline))
    assert fence.is_needed(settings)
    fence.guard(settings, lambda: False)
    assert {(group, number) for group, number, _ in groups.killed} == {
        ("/shoal/a", signal.SIGKILL),
        ("/shoal/paused", signal.SIGKILL),
    }
    assert all(at >= deadline for _, _, at in groups.killed)
    assert (groups.running, groups.thawed) == ({"/shoal/bound"}, ["/shoal/paused"])
    assert not fence.is_needed(settings)


def test_it_goes_on_while_an_engine_is_there_and_finds_what_is_started_late(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, desk, there = use(monkeypatch, Groups()), Desk(settings), [True]
    monkeypatch.setattr(fence, "PAUSE", SECOND // 100)
    desk.write(Tenure(number=1, deadline=tenure.now()))
    guarding = threading.Thread(target=fence.guard, args=(settings, lambda: there[0]))
    guarding.start()
    desk.mark("late", "/shoal/late")
    groups.running.add("/shoal/late")
    while groups.running:
        time.sleep(0.001)
    desk.write(Tenure(number=2, deadline=tenure.now() + SECOND // 10))
    there[0] = False
    guarding.join(60)
    assert not guarding.is_alive()
    assert tenure.now() >= desk.tenure().deadline  # type: ignore[union-attr]


def test_the_timer_waits_by_the_clock_that_counts_suspended_time() -> None:
    timer = fence.Timer()
    when = tenure.now() + SECOND // 50
    timer.sleep_until(when)
    assert tenure.now() >= when
    timer.sleep_until(0)  # it has passed: at once
    timer.close()


def test_an_engine_is_followed_while_its_supervisor_lives(directory: Path) -> None:
    assert not fence._followed(directory)
    records.write(directory, records.of_this_process("supervisor"))
    assert fence._followed(directory)
    gone = records.Record(name="supervisor", pid=os.getpid(), started=1, boot=records.boot_id())
    records.write(directory, gone)
    assert not fence._followed(directory)
