from __future__ import annotations

from typing import Any, cast

from tools.bench import reads
from tools.bench.engine import Engine


class _Api:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def call(self, method: str, path: str) -> bytes:
        self.asked.append(f"{method} {path}")
        return b""


class _Engine:
    def __init__(self) -> None:
        self.api, self.pile = _Api(), ["a", "b", "c"]


def test_every_kind_of_read_is_asked_for_equally_often() -> None:
    engine: Any = _Engine()
    with reads.reads(cast(Engine, engine)) as sample:
        assert sample() > 0
    assert {engine.api.asked.count(f"GET {path}") for path in reads.PATHS} == {reads.TIMES}


def test_one_in_the_middle_is_inspected() -> None:
    engine: Any = _Engine()
    with reads.inspected(cast(Engine, engine)) as sample:
        sample()
    assert engine.api.asked == ["GET /containers/b/json"]
