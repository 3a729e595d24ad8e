from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from tests.support.answers import answering
from tools.shoal import migrate
from tools.shoal.__main__ import app

PLAN = {
    "Node": {"ID": "n", "Name": "node2"}, "Strategy": "cold", "Why": "asked for", "Reasons": [], "Warnings": ["mind"],
    "Bytes": 12_000_000, "FreezeMilliseconds": 400, "TotalMilliseconds": 900,
}  # fmt: skip
TARGET = "/containers/web/migrate"
RESULT = {"freeze_ms": 12.3, "total_ms": 345.6, "file_bytes": 1500, "memory_bytes": 500}


def lines(*told: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in told)


def test_a_plan_for_people() -> None:
    shown = migrate.shown(PLAN).splitlines()
    assert shown == [
        "to node2, cold: asked for",
        "about 0.9 s, standing still for 400 ms, 12.0 MB to send",
        "note: mind",
    ]
    refused = migrate.shown({**PLAN, "Reasons": ["it is here already"], "Warnings": []}).splitlines()
    assert refused[1:] == ["it cannot be migrated so:", "  it is here already"]


def test_progress_for_people() -> None:
    assert migrate.step({"step": "copy", "ms": 12.4, "bytes": 2048}).split() == ["copy", "12", "ms", "2.0", "kB"]
    assert migrate.step({"step": "stay", "undo": True, "text": "no"}).startswith("<- stay")
    assert migrate.figures(RESULT) == "done: stood still for 12 ms, 346 ms in all, 2.0 kB sent"
    assert [migrate.size(count) for count in (5, 5_000, 5_000_000, 5_000_000_000)] == [
        "5 B",
        "5.0 kB",
        "5.0 MB",
        "5.0 GB",
    ]


def test_what_is_told_while_it_moves(tmp_path: Path) -> None:
    told = lines({"migration": "m", "plan": PLAN}, {"step": "claim", "ms": 1}, {"result": RESULT})
    with answering(tmp_path / "docker.sock", {"POST /containers/web/migrate": (200, told)}):
        found = list(migrate.moved(tmp_path / "docker.sock", TARGET, {}))
    assert found[0] == "to node2, cold: asked for"
    assert found[1].split()[0] == "claim"
    assert found[2].startswith("done:")


@pytest.mark.parametrize("as_json", [False, True])
def test_whoever_is_not_told_how_it_ended_is_told_so(tmp_path: Path, as_json: bool) -> None:
    """It looked as if all were well."""
    told = lines({"migration": "m", "plan": PLAN}, {"step": "switch", "ms": 1})
    with (
        answering(tmp_path / "docker.sock", {"POST /containers/web/migrate": (200, told)}),
        pytest.raises(Unavailable, match="completes the migration or takes it back"),
    ):
        list(migrate.moved(tmp_path / "docker.sock", TARGET, {}, as_json))


def test_a_failure_says_that_it_stays(tmp_path: Path) -> None:
    told = lines({"migration": "m", "plan": PLAN}, {"error": "disk full"})
    with (
        answering(tmp_path / "docker.sock", {f"POST {TARGET}": (200, told)}),
        pytest.raises(FailedPrecondition, match="stays where it is: disk full"),
    ):
        list(migrate.moved(tmp_path / "docker.sock", TARGET, {}))


def test_a_strategy_that_there_is_none() -> None:
    done = CliRunner().invoke(app, ["migrate", "web", "--strategy", "warm"])
    assert isinstance(done.exception, InvalidArgument)
    assert "no strategy is called 'warm'" in done.exception.message
