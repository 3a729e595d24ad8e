from __future__ import annotations

from typing import Any, cast

from tools.bench import reads
from tools.bench.engine import Engine


class _Api:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def call(self, method: str, path: str, body: object = None) -> bytes:
        self.asked.append(f"{method} {path}")
        return b""


class _Engine:
    def __init__(self) -> None:
        self.api, self.pile, self.name = _Api(), ["a", "b", "c"], "e"


def test_every_kind_of_read_is_asked_for_equally_often() -> None:
    engine: Any = _Engine()
    with reads.reads(cast(Engine, engine)) as sample:
        assert sample() > 0
    assert {engine.api.asked.count(f"GET {path}") for path in reads.PATHS} == {reads.TIMES}


def test_what_is_changed_is_read_and_undone() -> None:
    engine: Any = _Engine()
    with reads.changed(cast(Engine, engine)) as sample:
        assert sample() > 0
    asked = engine.api.asked
    for kind in ("images", "volumes", "networks"):
        about = [each for each in asked if f"/{kind}" in each]
        changing = [number for number, each in enumerate(about) if not each.startswith("GET")]
        assert [about[number].partition(" ")[0] for number in changing] == ["POST", "DELETE"]
        assert len(about) == 5
        assert changing == [0, 3]  # each is followed by what must show it


def test_only_one_kind_is_changed() -> None:
    engine: Any = _Engine()
    with reads.change("volumes")(cast(Engine, engine)) as sample:
        sample()
    assert [each.partition("?")[0].partition("/bench")[0] for each in engine.api.asked] == [
        "POST /volumes/create", "DELETE /volumes"
    ]  # fmt: skip


def test_one_in_the_middle_is_inspected() -> None:
    engine: Any = _Engine()
    with reads.inspected(cast(Engine, engine)) as sample:
        sample()
    assert engine.api.asked == ["GET /containers/b/json"]
