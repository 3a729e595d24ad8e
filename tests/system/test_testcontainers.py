"""testcontainers-python with its reaper enabled: starts, uses and removes a container of ours.

The reaper's own image cannot be had without a registry; `tests.support.reaper` makes one that speaks its protocol,
under the same name.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.engine import Engine
from tests.support.reaper import reaper_image
from tests.support.shoal import CHECKOUT
from tools.images import docker_archive


def session(engine: Engine, *arguments: str) -> Mapping[str, Any]:
    """Runs where the engine publishes its ports."""
    enter = ["nsenter", f"--net={engine.netns}"] if engine.netns else []
    environment = engine.environment({"RYUK_RECONNECTION_TIMEOUT": "1s", "PYTHONPATH": str(CHECKOUT)})
    del environment["DOCKER_CONFIG"]
    done = subprocess.run(
        [*enter, sys.executable, "-m", "tests.support.testcontainers_session", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def test_reaper_removes_what_a_dead_session_left(image_engine: Engine) -> None:
    engine = image_engine
    engine.ok("load", input=docker_archive(reaper_image()))
    found = session(engine)
    assert found["page"] == "served by shoal\n"
    assert found["exec"] == [3, "inside\n"]
    assert "ready" in found["logs"]
    for name in ("container", "reaper"):
        gone = engine.call("POST", f"/containers/{found[name]}/wait?condition=removed", timeout=30)
        assert gone.status in (200, 404), gone
        assert engine.call("GET", f"/containers/{found[name]}/json").status == 404, name


def test_a_session_that_cleans_up(image_engine: Engine) -> None:
    engine = image_engine
    engine.ok("load", input=docker_archive(reaper_image()))
    found = session(engine, "clean")
    assert engine.call("GET", f"/containers/{found['container']}/json").status == 404
