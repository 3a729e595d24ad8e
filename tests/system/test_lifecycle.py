"""start, stop, kill, restart, rm, wait, rename, pause, restart policies, ps and inspect."""

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.engine import IMAGE, Engine

LOOP = "while :; do usleep 20000; done"


def until(check: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of check; each call of it is a request, which is wait enough."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, what
    return value


def test_stop_sends_term_then_kill(engine: Engine) -> None:
    engine.start("--name", "polite", IMAGE, "sh", "-c", f"trap 'exit 3' TERM; echo up; {LOOP}")
    until(lambda: engine.docker("logs", "polite").out, "started")
    assert engine.ok("stop", "polite") == "polite"
    assert engine.inspect("polite")["State"]["ExitCode"] == 3
    engine.start("--name", "deaf", IMAGE, "sh", "-c", f"trap '' TERM; echo up; {LOOP}")
    until(lambda: engine.docker("logs", "deaf").out, "started")
    begin = time.monotonic()
    engine.ok("stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - begin < 5
    assert engine.inspect("deaf")["State"]["ExitCode"] == 137


def test_stop_signal_and_timeout_of_the_container(engine: Engine) -> None:
    arguments = ["--stop-signal", "USR1", "--stop-timeout", "1"]
    engine.start("--name", "own", *arguments, IMAGE, "sh", "-c", f"trap 'exit 33' USR1; echo up; {LOOP}")
    until(lambda: engine.docker("logs", "own").out, "started")
    engine.ok("stop", "own")
    assert engine.inspect("own")["State"]["ExitCode"] == 33
    engine.start("--name", "slow", *arguments, IMAGE, "sleep", "100")
    begin = time.monotonic()
    engine.ok("stop", "slow")
    assert time.monotonic() - begin < 6


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("SIGKILL", 137), ("9", 137), ("USR1", 40)])
def test_kill(engine: Engine, signal: str, code: int) -> None:
    engine.start("--name", "victim", IMAGE, "sh", "-c", f"trap 'exit 40' USR1; echo up; {LOOP}")
    until(lambda: engine.docker("logs", "victim").out, "started")
    assert engine.ok("kill", "-s", signal, "victim") == "victim"
    assert engine.ok("wait", "victim") == str(code)


def test_restart_keeps_identity(engine: Engine) -> None:
    identity = engine.start("--name", "again", IMAGE, "sleep", "100")
    before = engine.inspect("again")["State"]
    assert engine.ok("restart", "-t", "0", "again") == "again"
    after = engine.inspect("again")
    assert (after["Id"], after["RestartCount"]) == (identity, 0)
    assert after["State"]["Pid"] != before["Pid"]
    assert after["State"]["StartedAt"] > before["StartedAt"]


def test_start_of_a_running_container_does_nothing(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "100")
    assert engine.call("POST", f"/containers/{identity}/start").status == 304
    assert engine.ok("start", identity) == identity
    engine.ok("kill", identity)
    assert engine.call("POST", f"/containers/{identity}/stop").status == 304


def test_rm_of_a_running_container_is_refused(engine: Engine) -> None:
    identity = engine.start("--name", "busy", IMAGE, "sleep", "100")
    answer = engine.call("DELETE", "/containers/busy")
    assert answer.status == 409
    assert identity in answer.message or "busy" in answer.message
    assert re.search("cannot remove.*container.*[Ss]top the container before", answer.message)
    assert engine.ok("rm", "-f", "busy") == "busy"


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/containers/nope/start", 404, "No such container: nope"),
        ("POST", "/containers/nope/stop", 404, "No such container: nope"),
        ("POST", "/containers/nope/restart", 404, "No such container: nope"),
        ("POST", "/containers/nope/kill", 404, "No such container: nope"),
        ("POST", "/containers/nope/wait", 404, "No such container: nope"),
        ("POST", "/containers/nope/pause", 404, "No such container: nope"),
        ("GET", "/containers/nope/json", 404, "No such container: nope"),
        ("GET", "/containers/nope/logs?stdout=1", 404, "No such container: nope"),
        ("DELETE", "/containers/nope", 404, "No such container: nope"),
        ("POST", "/containers/still/kill", 409, "is not running"),
        ("POST", "/containers/still/pause", 409, "is not running"),
        ("GET", "/containers/still/top", 409, "is not running"),
        ("GET", "/containers/still/logs", 400, "you must choose at least one stream"),
        (
            "POST",
            "/containers/still/rename?name=still",
            400,
            "the same name as its current name",
        ),
        ("POST", "/containers/still/rename?name=", 400, "Neither old nor new names may be empty"),
        ("POST", "/containers/still/rename?name=a%20b", 400, "Invalid container name"),
    ],
)
def test_errors(engine: Engine, method: str, path: str, status: int, text: str) -> None:
    engine.ok("create", "--name", "still", IMAGE)
    answer = engine.call(method, path)
    assert (answer.status, text in answer.message) == (status, True), answer


def test_wait_gives_the_code_of_what_has_ended(engine: Engine) -> None:
    engine.docker("run", "--name", "done", IMAGE, "sh", "-c", "exit 21")
    assert engine.ok("wait", "done") == "21"
    assert engine.call("POST", "/containers/done/wait").json["StatusCode"] == 21


def test_wait_answers_its_head_at_once(engine: Engine) -> None:
    """The CLI waits for the next exit before it starts the container."""
    identity = engine.ok("create", IMAGE, "sh", "-c", "exit 5")
    with engine.raw() as connection:
        path = f"/v1.41/containers/{identity}/wait?condition=next-exit"
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        head = connection.recv(4096)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        engine.ok("start", identity)
        rest = head
        while b"StatusCode" not in rest:
            rest += connection.recv(4096)
    assert b'"StatusCode":5' in rest.replace(b" ", b"")


def test_wait_for_removal(engine: Engine) -> None:
    identity = engine.start("--rm", IMAGE, "sh", "-c", f"trap 'exit 6' TERM; echo up; {LOOP}")
    until(lambda: engine.docker("logs", identity).out, "started")
    threading.Timer(0.1, engine.call, ("POST", f"/containers/{identity}/kill?signal=TERM")).start()
    assert engine.call("POST", f"/containers/{identity}/wait?condition=removed").json["StatusCode"] == 6
    assert engine.call("GET", f"/containers/{identity}/json").status == 404


def test_rename(engine: Engine) -> None:
    identity = engine.ok("create", "--name", "old", IMAGE)
    engine.ok("create", "--name", "other", IMAGE)
    assert engine.call("POST", "/containers/old/rename?name=other").status == 409
    engine.ok("rename", "old", "new")
    assert engine.inspect("new")["Id"] == identity
    assert engine.call("GET", "/containers/old/json").status == 404
    engine.ok("create", "--name", "old", IMAGE)


def test_pause(engine: Engine) -> None:
    engine.start("--name", "paused", IMAGE, "sleep", "100")
    engine.ok("pause", "paused")
    state = engine.inspect("paused")["State"]
    assert (state["Status"], state["Paused"], state["Running"]) == ("paused", True, True)
    assert engine.call("POST", "/containers/paused/pause").status == 409
    assert "(Paused)" in engine.ok("ps", "--format", "{{.Status}}")
    engine.ok("unpause", "paused")
    assert engine.inspect("paused")["State"]["Status"] == "running"


def test_restart_on_failure_has_an_end(engine: Engine) -> None:
    engine.start("--name", "failing", "--restart", "on-failure:2", IMAGE, "sh", "-c", "echo run; exit 5")
    until(lambda: engine.inspect("failing")["State"]["Status"] == "exited", "gives up")
    found = engine.inspect("failing")
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (2, 5)
    assert engine.docker("logs", "failing").out == "run\n" * 3


def waits_for_restart(engine: Engine, name: str) -> None:
    """It ends at once, again and again, and is in one of the longer waits (0.4 s and more)."""
    engine.start("--name", name, "--restart", "always", IMAGE, "sh", "-c", "exit 6")

    def long_wait() -> bool:
        found = engine.inspect(name)
        return found["RestartCount"] >= 3 and bool(found["State"]["Restarting"])

    until(long_wait, "waits")


@pytest.mark.parametrize("command", ["stop", "kill"])
def test_ended_while_waiting_for_a_restart(engine: Engine, command: str) -> None:
    waits_for_restart(engine, "waits")
    state = engine.inspect("waits")["State"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("restarting", True, 0)
    assert engine.ok("ps", "--format", "{{.Status}}").startswith("Restarting (6) ")
    assert engine.call("POST", "/containers/waits/start").status == 304
    engine.ok(command, "waits")
    state = until(lambda: (now := engine.inspect("waits")["State"])["Status"] == "exited" and now, "ended")
    assert (state["ExitCode"], state["Restarting"]) == (6, False)
    assert engine.inspect("waits")["RestartCount"] >= 3
    engine.start("--name", "other", IMAGE, "sleep", "1")
    assert engine.ok("wait", "other") == "0"
    assert engine.inspect("waits")["State"] == state


def test_removed_while_waiting_for_a_restart(engine: Engine) -> None:
    waits_for_restart(engine, "waits")
    refused = engine.docker("rm", "waits")
    assert refused.code == 1
    assert "force remove" in refused.err
    engine.ok("rm", "-f", "waits")
    assert engine.docker("inspect", "waits").code == 1


def test_restart_on_failure_not_on_success(engine: Engine) -> None:
    engine.ok("run", "--name", "fine", "--restart", "on-failure", IMAGE, "true")
    assert engine.inspect("fine")["RestartCount"] == 0


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_restart_until_stopped(engine: Engine, policy: str) -> None:
    engine.start("--name", "back", "--restart", policy, IMAGE, "sh", "-c", "echo run; sleep 0.1")
    until(lambda: engine.inspect("back")["RestartCount"] >= 2, "comes back")
    engine.ok("stop", "-t", "0", "back")
    assert engine.inspect("back")["State"]["Status"] == "exited"
    count = engine.docker("logs", "back").out.count("run")
    engine.run(IMAGE, "sleep", "0.5")
    assert engine.docker("logs", "back").out.count("run") == count


def test_states_with_their_times(engine: Engine) -> None:
    engine.ok("create", "--name", "seen", IMAGE, "sleep", "100")
    state = engine.inspect("seen")["State"]
    assert (state["Status"], state["StartedAt"], state["FinishedAt"]) == ("created", *["0001-01-01T00:00:00Z"] * 2)
    engine.ok("start", "seen")
    state = engine.inspect("seen")["State"]
    assert (state["Status"], state["Running"], state["FinishedAt"]) == ("running", True, "0001-01-01T00:00:00Z")
    assert state["Pid"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z", state["StartedAt"])
    engine.ok("kill", "seen")
    state = engine.inspect("seen")["State"]
    assert (state["Status"], state["Pid"], state["ExitCode"], state["Error"]) == ("exited", 0, 137, "")
    assert state["FinishedAt"] > state["StartedAt"]


def test_ps(engine: Engine) -> None:
    engine.start("--name", "runs", IMAGE, "sleep", "100")
    engine.docker("run", "--name", "ended", IMAGE, "sh", "-c", "exit 3")
    engine.ok("create", "--name", "created", IMAGE)
    lines = [
        line.split("|") for line in engine.ok("ps", "-a", "--format", "{{.Names}}|{{.Status}}|{{.State}}").splitlines()
    ]
    assert [line[0] for line in lines] == ["created", "ended", "runs"]
    assert [line[2] for line in lines] == ["created", "exited", "running"]
    assert lines[0][1] == "Created"
    assert re.fullmatch(r"Exited \(3\) .* ago", lines[1][1])
    assert lines[2][1].startswith("Up ")
    assert engine.ok("ps", "--format", "{{.Names}}") == "runs"
    assert engine.ok("ps", "-l", "--format", "{{.Names}}") == "created"
    assert engine.ok("ps", "-n", "2", "--format", "{{.Names}}") == "created\nended"


def filtered(engine: Engine, **filters: list[str]) -> list[str]:
    answer = engine.call("GET", f"/containers/json?all=1&filters={quote(json.dumps(filters))}")
    assert answer.status == 200, answer
    return sorted(each["Names"][0].removeprefix("/") for each in answer.json)


def test_ps_filters(engine: Engine) -> None:
    first = engine.start("--name", "first", "-l", "a=1", "-v", "vol:/v", "--expose", "80", IMAGE, "sleep", "100")
    engine.docker("run", "--name", "second", "-l", "a=2", "--network", "none", IMAGE, "sh", "-c", "exit 4")
    none = engine.call("GET", "/networks/none").json["Id"]
    cases: list[tuple[dict[str, list[str]], list[str]]] = [
        ({"id": [first[:12]]}, ["first"]),
        ({"name": ["sec"]}, ["second"]),
        ({"name": ["^/first$"]}, ["first"]),
        ({"label": ["a"]}, ["first", "second"]),
        ({"label": ["a=2"]}, ["second"]),
        ({"label": ["a", "a=1"]}, ["first"]),
        ({"status": ["running"]}, ["first"]),
        ({"status": ["running", "exited"]}, ["first", "second"]),
        ({"exited": ["4"]}, ["second"]),
        ({"exited": ["0"]}, []),
        ({"ancestor": [IMAGE]}, ["first", "second"]),
        ({"ancestor": ["other"]}, []),
        ({"volume": ["vol"]}, ["first"]),
        ({"volume": ["/v"]}, ["first"]),
        ({"network": ["none"]}, ["second"]),
        ({"network": ["bridge"]}, ["first"]),
        ({"network": [none[:12]]}, ["second"]),
        ({"expose": ["80/tcp"]}, ["first"]),
        ({"since": ["first"]}, ["second"]),
        ({"before": ["second"]}, ["first"]),
        ({"name": ["first"], "status": ["exited"]}, []),
    ]
    for filters, expected in cases:
        assert filtered(engine, **filters) == expected, filters


def test_filters_of_old_clients(engine: Engine) -> None:
    engine.ok("create", "--name", "seen", "-l", "a=1", IMAGE)
    filters = quote('{"label":{"a=1":true}}')
    assert len(engine.call("GET", f"/containers/json?all=1&filters={filters}").json) == 1


def test_unknown_filters_are_refused(engine: Engine) -> None:
    for filters in ('{"nonsense":["x"]}', '{"status":["sleepy"]}'):
        assert engine.call("GET", f"/containers/json?filters={quote(filters)}").status == 400


def test_list_shows_what_clients_read(engine: Engine) -> None:
    identity = engine.start(
        "--name", "shown", "-p", "18070:80", "-v", "vol:/v", "-l", "x=y", IMAGE, "sh", "-c", "sleep 100; true"
    )
    found = engine.call("GET", "/containers/json?size=1").json[0]
    assert (found["Id"], found["Names"], found["Image"], found["State"]) == (identity, ["/shown"], IMAGE, "running")
    assert (found["Command"], found["Labels"]) == ("sh -c 'sleep 100; true'", {"x": "y"})
    assert found["ImageID"].startswith("sha256:")
    assert {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 18070, "Type": "tcp"} in found["Ports"]
    assert found["Mounts"][0]["Name"] == "vol"
    assert found["SizeRootFs"] > 1_000_000
    assert found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert abs(found["Created"] - time.time()) < 100


def test_top(engine: Engine) -> None:
    identity = engine.start(IMAGE, "sleep", "4321")
    lines = engine.ok("top", identity).splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert lines[1].endswith("sleep 4321")
    assert int(lines[1].split()[1]) == engine.inspect(identity)["State"]["Pid"]


def test_prune(engine: Engine) -> None:
    engine.start("--name", "runs", IMAGE, "sleep", "100")
    ended = engine.ok("create", IMAGE)
    out = engine.ok("container", "prune", "-f")
    assert ended in out
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "runs"
