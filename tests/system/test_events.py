"""`docker events`: order, attributes, history, filters."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tests.support.engine import IMAGE, Engine, unique
from tests.support.terminal import Terminal


def now(engine: Engine) -> str:
    """The engine's clock as the API takes it (seconds, nine digits after the point); history is asked for from here."""
    stamp: str = engine.call("GET", "/info").json["SystemTime"]
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return f"{int(datetime.fromisoformat(f'{whole}+00:00').timestamp())}.{fraction:0<9}"


def since(engine: Engine, begin: str, **filters: Sequence[str]) -> list[dict[str, Any]]:
    query = f"since={quote(begin)}&until={quote(now(engine))}&filters={quote(json.dumps(filters))}"
    answer = engine.call("GET", f"/v1.41/events?{query}")
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def test_life_of_a_container(engine: Engine) -> None:
    begin, name = now(engine), unique("seen")
    engine.docker("run", "--name", name, "-l", "k=v", "--network", "none", IMAGE, "sh", "-c", "exit 3")
    engine.ok("rm", name)
    events = since(engine, begin, container=[name])
    actions = [event["Action"] for event in events]
    assert actions == ["create", "attach", "start", "die", "destroy"]
    for event in events:
        assert (event["Type"], event["scope"], event["status"]) == ("container", "local", event["Action"])
        assert event["id"] == event["Actor"]["ID"]
        assert event["from"] == IMAGE
        assert {"k": "v", "image": IMAGE, "name": name}.items() <= event["Actor"]["Attributes"].items()
        assert event["timeNano"] // 10**9 == event["time"]
    assert events[3]["Actor"]["Attributes"]["exitCode"] == "3"


def test_signals_stop_restart_and_others(engine: Engine) -> None:
    name = unique("seen")
    engine.start("--name", name, IMAGE, "sleep", "100")
    begin = now(engine)
    engine.ok("pause", name)
    engine.ok("unpause", name)
    engine.ok("kill", "-s", "CONT", name)
    engine.ok("rename", name, f"{name}-x")
    engine.ok("restart", "-t", "0", f"{name}-x")
    engine.ok("stop", "-t", "0", f"{name}-x")
    events = since(engine, begin, type=["container"])
    actions = [event["Action"] for event in events]
    for expected in (
        ["pause", "unpause", "kill", "rename", "kill"],
        ["die", "stop", "start", "restart"],
        ["kill", "die", "stop"],
    ):
        remaining = iter(actions)
        assert all(action in remaining for action in expected), (expected, actions)
    assert events[2]["Actor"]["Attributes"]["signal"] == "18"
    assert events[3]["Actor"]["Attributes"]["oldName"] == f"/{name}"


def test_exec_events(engine: Engine) -> None:
    name = unique("seen")
    engine.start("--name", name, IMAGE, "sleep", "100")
    begin = now(engine)
    engine.docker("exec", name, "sh", "-c", "exit 3")
    events = since(engine, begin, container=[name])
    assert [event["Action"] for event in events] == [
        "exec_create: sh -c exit 3",
        "exec_start: sh -c exit 3",
        "exec_die",
    ]
    attributes = events[2]["Actor"]["Attributes"]
    assert attributes["exitCode"] == "3"
    assert attributes["execID"] == events[0]["Actor"]["Attributes"]["execID"]


def test_networks_and_volumes(engine: Engine) -> None:
    begin = now(engine)
    engine.ok("volume", "create", "some-volume")
    identity = engine.start("-v", "some-volume:/v", IMAGE, "sleep", "100")
    engine.ok("rm", "-f", identity)
    engine.ok("volume", "rm", "some-volume")
    volumes = since(engine, begin, type=["volume"])
    actions = dict.fromkeys(event["Action"] for event in volumes)  # 20.10 tells the creation twice
    assert list(actions) == ["create", "mount", "unmount", "destroy"]
    assert {event["Actor"]["ID"] for event in volumes} == {"some-volume"}
    mounted = next(event for event in volumes if event["Action"] == "mount")
    assert {"container": identity, "destination": "/v"}.items() <= mounted["Actor"]["Attributes"].items()
    told = since(engine, begin, type=["network"])  # others' containers may just be leaving theirs
    networks = [event for event in told if event["Actor"]["Attributes"]["container"] == identity]
    assert [event["Action"] for event in networks] == ["connect", "disconnect"]
    assert networks[0]["Actor"]["Attributes"] == {"container": identity, "name": "bridge", "type": "bridge"}


def test_images(image_engine: Engine) -> None:
    engine, begin = image_engine, now(image_engine)
    engine.ok("tag", IMAGE, "other:1")
    engine.ok("rmi", "other:1")
    events = since(engine, begin, type=["image"])
    assert [event["Action"] for event in events] == ["tag", "untag"]
    assert events[0]["Actor"]["Attributes"]["name"] == "other:1"


def test_filters(engine: Engine) -> None:
    begin = now(engine)
    one, two = unique("one"), unique("two")
    engine.run("--name", one, "-l", "a=1", "--network", "none", IMAGE, "true")
    engine.run("--name", two, "-l", "a=2", "--network", "none", IMAGE, "true")

    def names(**filters: Sequence[str]) -> set[str]:
        return {event["Actor"]["Attributes"].get("name", "") for event in since(engine, begin, **filters)}

    assert names(container=[one]) == {one}
    assert names(container=[one, two]) == {one, two}
    assert names(label=["a=2"]) == {two}
    assert names(label=["a"], event=["die"]) == {one, two}
    assert names(image=[IMAGE], event=["start"]) == {one, two}
    assert names(type=["image"]) == set()
    assert names(container=[one], event=["pause"]) == set()


def test_live_events_come_at_once_after_the_history(engine: Engine) -> None:
    begin = now(engine)
    identity = engine.ok("create", IMAGE, "true")
    with engine.raw() as connection:
        filters = quote(json.dumps({"container": [identity]}))
        connection.sendall(
            f"GET /v1.41/events?since={quote(begin)}&filters={filters} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        received = connection.recv(4096)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        while b'"create"' not in received:
            received += connection.recv(4096)
        engine.ok("start", identity)
        while b'"die"' not in received:
            received += connection.recv(4096)
    order = [received.index(f'"Action":"{action}"'.encode()) for action in ("create", "start", "die")]
    assert order == sorted(order)


def test_cli_format(engine: Engine) -> None:
    begin = now(engine)
    name = unique("seen")
    engine.ok("create", "--name", name, IMAGE)
    out = engine.ok("events", "--since", begin, "--until", now(engine), "--filter", f"container={name}")
    assert " container create " in out
    assert out.endswith(f"(image={IMAGE}, name={name})")


def test_bad_queries(engine: Engine) -> None:
    assert engine.call("GET", "/events?filters=nonsense&until=1").status in (400, 500)


def test_detaching(engine: Engine) -> None:
    begin, name = now(engine), unique("seen")
    with Terminal([engine.cli, "run", "-it", "--name", name, IMAGE, "sh"], engine.environment()) as shell:
        shell.expect(b"# ")
        shell.send(b"\x10\x11")
        shell.end()
    engine.ok("kill", name)
    actions = [event["Action"] for event in since(engine, begin, container=[name])]
    assert actions.index("attach") < actions.index("detach") < actions.index("kill")
    assert actions.count("detach") == 1
