"""Health checks: HEALTHCHECK of images, `--health-*`, what inspect, ps and events say of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tools.images import busybox

FAST = ("--health-interval", "20ms")


class Told:
    """The events of one container from its beginning, each taken once."""

    def __init__(self, events: Iterator[dict[str, Any]]) -> None:
        self._events = events
        self.actions: list[str] = []

    def until(self, action: str) -> dict[str, Any]:
        for event in self._events:
            self.actions.append(event["Action"])
            if event["Action"] == action:
                return event
        raise AssertionError(f"no event {action}: {self.actions}")


@contextmanager
def told(engine: Engine, name: str) -> Iterator[Told]:
    """What happens to the container that is about to be made under this name."""
    client = engine.python()
    events = client.events(decode=True, filters={"container": name})
    try:
        yield Told(events)
    finally:
        events.close()
        client.close()


def health(engine: Engine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.inspect(name)["State"]["Health"]
    return found


def test_healthy_then_unhealthy_then_healthy(engine: Engine) -> None:
    name = unique("checked")
    with told(engine, name) as events:
        engine.start(
            "--name", name, *FAST, "--health-retries", "2", "--health-cmd", "echo out; echo err >&2; test ! -e /ill",
            IMAGE, "sleep", "100",
        )  # fmt: skip
        events.until("health_status: healthy")
        listed = engine.ok("ps", "--filter", "health=healthy", "--format", "{{.Names}} {{.Status}}")
        assert listed.startswith(f"{name} Up ")
        assert listed.endswith(" (healthy)")
        state = health(engine, name)
        assert (state["Status"], state["FailingStreak"]) == ("healthy", 0)
        assert (state["Log"][0]["ExitCode"], sorted(state["Log"][0]["Output"].split())) == (0, ["err", "out"])
        engine.ok("exec", name, "touch", "/ill")
        events.until("health_status: unhealthy")
        state = health(engine, name)
        assert state["FailingStreak"] >= 2
        assert [entry["ExitCode"] for entry in state["Log"]][-2:] == [1, 1]
        assert engine.ok("ps", "-q", "--filter", "health=unhealthy") != ""
        assert "(unhealthy)" in engine.ok("ps", "--format", "{{.Status}}")
        engine.ok("exec", name, "rm", "/ill")
        events.until("health_status: healthy")
    probe = events.actions[events.actions.index("start") + 1 :][:3]
    assert probe[0] == "exec_create: /bin/sh -c echo out; echo err >&2; test ! -e /ill"
    assert probe[1] == "exec_start: /bin/sh -c echo out; echo err >&2; test ! -e /ill"
    assert probe[2] == "exec_die"


def test_starting_until_the_first_result_and_unhealthy_once_stopped(engine: Engine) -> None:
    name = unique("checked")
    engine.start("--name", name, "--health-interval", "1h", "--health-cmd", "true", IMAGE, "sleep", "100")
    assert health(engine, name) == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert "(health: starting)" in engine.ok("ps", "--filter", "health=starting", "--format", "{{.Status}}")
    engine.ok("stop", "-t", "0", name)
    assert health(engine, name)["Status"] == "unhealthy"
    assert engine.ok("ps", "-a", "--format", "{{.Status}}").startswith("Exited (137)")


def test_a_probe_that_takes_too_long(engine: Engine) -> None:
    name = unique("checked")
    with told(engine, name) as events:
        engine.start(
            "--name", name, *FAST, "--health-timeout", "300ms", "--health-retries", "1",
            "--health-cmd", "echo so far; exec sleep 100", IMAGE, "sleep", "100",
        )  # fmt: skip
        events.until("health_status: unhealthy")
    entry = health(engine, name)["Log"][0]
    assert entry["ExitCode"] == -1
    assert entry["Output"] in (
        "Health check exceeded timeout (300ms): so far\n",
        "Health check exceeded timeout (300ms)",
    )


def test_a_program_that_is_not_there(engine: Engine) -> None:
    name = unique("checked")
    check = {"Test": ["CMD", "/nowhere"], "Interval": 20_000_000, "Retries": 1}
    with told(engine, name) as events:
        body = {"Image": IMAGE, "Cmd": ["sleep", "100"], "Healthcheck": check}
        assert engine.call("POST", f"/containers/create?name={name}", body).status == 201
        engine.ok("start", name)
        events.until("health_status: unhealthy")
    entry = health(engine, name)["Log"][0]
    assert entry["ExitCode"] == -1
    assert "/nowhere" in entry["Output"]


def test_much_output_is_cut(engine: Engine) -> None:
    name = unique("checked")
    with told(engine, name) as events:
        engine.start("--name", name, *FAST, "--health-cmd", "yes | head -c 9999", IMAGE, "sleep", "100")
        events.until("health_status: healthy")
    assert health(engine, name)["Log"][0]["Output"] == "y\n" * 2048 + "..."


def test_of_the_image(image_engine: Engine) -> None:
    engine = image_engine
    change = 'HEALTHCHECK --interval=20ms --timeout=7s --start-period=1s --retries=4 CMD test "$WHO" = me'
    engine.ok("import", "--change", change, "--change", "CMD sleep 100", "-", "checked", input=busybox().layers[0])
    name, other, off = unique("checked"), unique("checked"), unique("checked")
    with told(engine, name) as events:
        engine.start("--name", name, "-e", "WHO=me", "checked")
        events.until("health_status: healthy")
    check = engine.inspect(name)["Config"]["Healthcheck"]
    assert check["Test"] == ["CMD-SHELL", 'test "$WHO" = me']
    assert (check["Interval"], check["Timeout"], check["Retries"]) == (20_000_000, 7 * 10**9, 4)
    engine.start("--name", other, "--health-interval", "1h", "checked")
    check = engine.inspect(other)["Config"]["Healthcheck"]
    assert (check["Interval"], check["Timeout"]) == (3600 * 10**9, 7 * 10**9)
    engine.start("--name", off, "--no-healthcheck", "checked")
    assert "Health" not in engine.inspect(off)["State"]
    assert engine.inspect(off)["Config"]["Healthcheck"]["Test"] == ["NONE"]


@pytest.mark.parametrize("test", [["NONE"], [], ["bad", "x"]])
def test_no_check(engine: Engine, test: list[str]) -> None:
    body = {"Image": IMAGE, "Cmd": ["sleep", "100"], "Healthcheck": {"Test": test}}
    made = engine.call("POST", "/containers/create", body)
    assert engine.call("POST", f"/containers/{made.json['Id']}/start").status == 204
    assert "Health" not in engine.inspect(made.json["Id"])["State"]


def test_a_pause_stops_probing(engine: Engine) -> None:
    name = unique("checked")
    with told(engine, name) as events:
        engine.start("--name", name, *FAST, "--health-cmd", "true", IMAGE, "sleep", "100")
        events.until("health_status: healthy")
        engine.ok("pause", name)
        assert health(engine, name)["Status"] == "unhealthy"
        assert engine.ok("ps", "--format", "{{.Status}}").endswith("(Paused)")
        before = health(engine, name)["Log"]
        engine.ok("unpause", name)
        events.until("health_status: healthy")
        assert health(engine, name)["Log"][-1]["Start"] > before[-1]["Start"]
