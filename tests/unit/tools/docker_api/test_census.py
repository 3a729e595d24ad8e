from __future__ import annotations

from shared.config import Settings
from tools.docker_api import census


def test_more_than_before_and_its_slack_is_a_leak() -> None:
    before = {"links": 2, "memory of x": 100}
    assert census.leaks(before, {"links": 2, "memory of x": 110}, {"memory of x": 10}) == []
    assert census.leaks(before, {"links": 1, "memory of x": 50}, {}) == []
    found = census.leaks(before, {"links": 3, "memory of x": 111, "new": 1}, {"memory of x": 10})
    assert found == ["links: 2 before, 3 after", "memory of x: 100 before, 111 after", "new: 0 before, 1 after"]


def test_counts_are_awaited(monkeypatch) -> None:
    counts = iter(({"a": 3}, {"a": 2}, {"a": 1}))
    monkeypatch.setattr(census, "take", lambda settings: next(counts))
    assert census.settled(Settings(), lambda found: found["a"] > 1) == {"a": 1}
