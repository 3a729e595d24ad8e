from __future__ import annotations

import json
from pathlib import Path

from tests.support.answers import answering
from tools.cluster.draining import Container, emptied, remaining

PLAN = {
    "Node": {"ID": "n", "Name": "node2"}, "Strategy": "copy", "Why": "it runs", "Reasons": [], "Warnings": [],
    "Bytes": 1, "FreezeMilliseconds": 1, "TotalMilliseconds": 1,
}  # fmt: skip


def container(letter: str, name: str) -> Container:
    mounts = [{"Type": "volume", "Name": "data"}, {"Type": "bind"}]
    return {"Id": letter * 64, "Names": [f"/{name}"], "State": "running", "Mounts": mounts}


def test_what_stays_on_a_drained_host_is_told() -> None:
    assert remaining("n", []) == "n gets no new containers, and has none"
    told = remaining("n", [container("a", "web")]).splitlines()
    assert "--migrate" in told[0]
    assert told[1] == f"  {'a' * 12}  web  running  volumes: data"
    told = remaining("n", [container("a", "web")], {"a" * 64: "no way"}).splitlines()
    assert told == ["n gets no new containers. It has:", f"  {'a' * 12}  web  running  volumes: data  no way"]


def test_one_after_the_other_and_why_one_stays(tmp_path: Path) -> None:
    path, stays = tmp_path / "docker.sock", dict[str, str]()
    told = [{"plan": PLAN}, {"step": "claim", "ms": 1}, {"result": {"freeze_ms": 12, "total_ms": 30}}]
    listed = [container("a", "web"), container("b", "db"), container("c", "gone")]
    answers = {
        "GET /containers/json": (200, json.dumps(listed).encode()),
        f"POST /containers/{'a' * 64}/migrate": (200, b"".join(json.dumps(line).encode() + b"\n" for line in told)),
        f"POST /containers/{'b' * 64}/migrate": (409, b'{"message": "it has devices of its host"}'),
        f"POST /containers/{'c' * 64}/migrate": (404, b'{"message": "No such container"}'),
    }
    with answering(path, answers):
        lines = list(emptied(path, "n", {}, stays))
    assert lines == [
        "web: to node2, copy: it runs",
        "web: done: stood still for 12 ms, 30 ms in all, 0 B sent",
        "db: stays: it has devices of its host",
        "gone: is gone",
    ]
    assert stays == {"b" * 64: "it has devices of its host"}
