"""Engine processes killed while they build: nothing is left over, and the client hears how it ended."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Engine
from tests.support.shoal import Shoal
from tools.images import entry, tar
from tools.supervisor import records

pytestmark = pytest.mark.shoal_only
CONTEXT = tar(
    [entry("Dockerfile", b"FROM busybox\nCOPY Dockerfile /\nRUN echo begun; sleep 2; echo done > /f\nENV A=1\n")]
)


@pytest.fixture(scope="module")
def shoal() -> Iterator[Shoal]:
    with Shoal() as made:
        yield made


def pid_of(shoal: Shoal, name: str) -> int:
    record = records.read(Path(shoal.settings["SHOAL_RUN_DIR"], "engine"), name)
    assert record is not None
    return record.pid


def leftovers(shoal: Shoal, engine: Engine) -> dict[str, Any]:
    """What a build may not leave."""
    state = Path(shoal.settings["SHOAL_STATE_DIR"])
    return {
        "containers": engine.call("GET", "/containers/json?all=1").json,
        "snapshots": [path.name for path in (state / "image_store/snapshots").iterdir()],
        "ingest": [path.name for path in (state / "image_store/ingest").iterdir()],
    }


def waited(holds: Callable[[], object], seconds: float = 60) -> None:
    """Returns once it holds, or when there is no more patience."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


NOTHING: dict[str, Any] = {"containers": [], "snapshots": [], "ingest": []}


@pytest.mark.parametrize("victim", ["builder", "executor", "image_store", "platform"])
def test_a_kill_while_a_step_runs(shoal: Shoal, victim: str) -> None:
    engine = Engine(shoal.host, shoal.netns)
    engine.load_busybox()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(engine.call, "POST", f"/build?t={victim}&nocache=1&forcerm=1", data=CONTEXT)
        waited(lambda: [each for each in engine.call("GET", "/containers/json").json if each["State"] == "running"])
        os.kill(pid_of(shoal, victim), signal.SIGKILL)
        lines = [json.loads(line) for line in answer.result().body.splitlines()]
    failed = "error" in lines[-1]
    assert failed is (engine.call("GET", f"/images/{victim}/json").status == 404), lines
    assert failed or lines[-1]["stream"] == f"Successfully tagged {victim}:latest\n"
    assert failed is (victim == "builder"), lines
    waited(lambda: leftovers(shoal, engine) == NOTHING)
    assert leftovers(shoal, engine) == NOTHING


def test_a_builder_that_rests_is_there_for_the_next_build(shoal: Shoal) -> None:
    engine = Engine(shoal.host, shoal.netns)
    engine.load_busybox()
    assert engine.call("POST", "/build?t=first", data=CONTEXT).status == 200
    old = pid_of(shoal, "builder")
    os.kill(old, signal.SIGTERM)  # as it ends by itself, after half a minute without work
    listed = shoal.command("status", "--json", check=False)
    while f'"builder","pid":{old}' in listed.stdout:
        listed = shoal.command("status", "--json", check=False)
    assert '"builder","pid":0,"state":"resting"' in listed.stdout
    assert listed.returncode == 0, "nothing is wrong with that"
    lines = engine.call("POST", "/build?t=second&nocache=1", data=CONTEXT).body.splitlines()
    assert json.loads(lines[-1]) == {"stream": "Successfully tagged second:latest\n"}
    assert pid_of(shoal, "builder") != old
