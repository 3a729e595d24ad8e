"""`docker stats`, and the answers behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.engine import IMAGE, Engine

BUSY = "i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done; sleep 1000"


def shown(text: str) -> dict[str, dict[str, Any]]:
    lines = (json.loads(line) for line in text.splitlines())
    return {line["Name"]: line for line in lines}


def test_the_command(engine: Engine) -> None:
    engine.start("--name", "busy", "--cpus", "0.5", "-m", "64m", IMAGE, "sh", "-c", BUSY)
    engine.start("--name", "idle", "--network", "none", IMAGE, "sleep", "1000")
    engine.ok("create", "--name", "made", IMAGE, "true")
    found = shown(engine.ok("stats", "--no-stream", "--format", "{{json .}}", "busy", "idle", "made"))
    assert 20 < float(found["busy"]["CPUPerc"].rstrip("%")) < 80  # it may use half of one processor
    assert found["busy"]["MemUsage"].endswith(" / 64MiB")
    assert found["busy"]["PIDs"] == "1"
    assert found["busy"]["NetIO"] != "0B / 0B"
    assert float(found["idle"]["CPUPerc"].rstrip("%")) < 5
    assert found["idle"]["NetIO"] == "0B / 0B"
    assert found["made"]["PIDs"] == "0"
    assert set(shown(engine.ok("stats", "--no-stream", "--format", "{{json .}}"))) == {"busy", "idle"}


def test_an_interface_counts_what_its_container_sends(engine: Engine) -> None:
    name = engine.start(
        IMAGE, "sh", "-c", "ping -c 3 -i 0.1 -s 1000 -q $(ip route | awk '/default/{print $3}'); exec sleep 99"
    )
    engine.ok("exec", name, "sh", "-c", "while ! grep -q sleep /proc/1/comm; do sleep 0.05; done")
    answer = engine.call("GET", f"/containers/{name}/stats?stream=0&one-shot=1").json
    counters = answer["networks"]["eth0"]
    assert counters["tx_bytes"] >= 3000
    assert counters["rx_bytes"] >= 3000
    assert answer["precpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_who_shares_a_network_shares_its_figures(engine: Engine) -> None:
    first = engine.start(IMAGE, "sleep", "1000")
    second = engine.start("--network", f"container:{first}", IMAGE, "sleep", "1000")
    host = engine.start("--network", "host", IMAGE, "sleep", "1000")
    assert "eth0" in engine.call("GET", f"/containers/{second}/stats?stream=0&one-shot=1").json["networks"]
    assert "networks" not in engine.call("GET", f"/containers/{host}/stats?stream=0&one-shot=1").json


def test_a_stream_has_a_line_a_second_and_ends_with_its_container(engine: Engine) -> None:
    container = engine.python().containers.run(IMAGE, ["sleep", "1000"], detach=True)
    stream = container.stats(stream=True, decode=True)
    lines = [next(stream) for _ in range(2)]
    assert lines[1]["precpu_stats"] == lines[0]["cpu_stats"]
    assert lines[1]["preread"] == lines[0]["read"]
    container.remove(force=True)
    assert all(line["pids_stats"].get("current", 0) <= 1 for line in stream)


@pytest.mark.beyond_reference("20.10 waits a second for one that does not run")
def test_what_does_not_run_uses_nothing(engine: Engine) -> None:
    engine.ok("create", "--name", "made", IMAGE, "true")
    answer = engine.call("GET", "/containers/made/stats?stream=0").json
    assert (answer["read"], answer["memory_stats"]) == ("0001-01-01T00:00:00Z", {})
    assert "networks" not in answer
