"""`docker checkpoint` and `docker start --checkpoint`."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.engine import IMAGE, Engine

pytestmark = pytest.mark.beyond_reference("Debian's criu cannot dump on this kernel, and dockerd refuses directories")
COUNT = "i=0; while :; do echo $i; i=$((i+1)); usleep 20000; done"


@pytest.fixture
def counts(engine: Engine) -> str:
    identity = engine.start("--name", "counts", "-v", "data:/data", "--tmpfs", "/t", IMAGE, "sh", "-c", COUNT)
    grown(engine, 3)
    return identity


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with TemporaryDirectory(prefix="checkpoints") as folder:
        yield folder


def lines(engine: Engine) -> list[int]:
    return [int(line) for line in engine.docker("logs", "counts").out.splitlines()]


def grown(engine: Engine, by: int) -> None:
    """Until so many more lines are there: each look is a request, which is wait enough."""
    goal = len(lines(engine)) + by
    while len(lines(engine)) < goal:
        assert engine.inspect("counts")["State"]["Running"]


def test_it_goes_on_where_it_was(engine: Engine, counts: str) -> None:
    assert engine.ok("checkpoint", "create", "counts", "one") == "one"
    state = engine.inspect("counts")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    assert engine.ok("checkpoint", "ls", "counts").splitlines()[1:] == ["one"]
    engine.ok("start", "--checkpoint", "one", "counts")
    grown(engine, 3)
    found = lines(engine)
    assert found == list(range(len(found)))
    assert engine.ok("exec", "counts", "echo", "served") == "served"
    engine.ok("stop", "-t", "0", "counts")
    assert engine.inspect("counts")["State"]["ExitCode"] == 137
    engine.ok("checkpoint", "rm", "counts", "one")
    assert engine.call("GET", "/containers/counts/checkpoints").json == []


def test_left_running_in_a_folder_of_ones_own(engine: Engine, counts: str, elsewhere: str) -> None:
    engine.ok("checkpoint", "create", "--leave-running", "--checkpoint-dir", elsewhere, "counts", "one")
    assert engine.inspect("counts")["State"]["Running"]
    grown(engine, 3)
    assert (Path(elsewhere) / "one/inventory.img").exists()
    assert engine.ok("checkpoint", "ls", "--checkpoint-dir", elsewhere, "counts").splitlines()[1:] == ["one"]
    engine.ok("kill", "counts")
    engine.ok("start", "--checkpoint-dir", elsewhere, "--checkpoint", "one", "counts")
    grown(engine, 2)
    found = lines(engine)
    again = next(at for at, number in enumerate(found) if number != at)
    assert 0 < found[again] < again, "it went on from before"


def test_what_is_refused(engine: Engine, counts: str) -> None:
    assert engine.ok("checkpoint", "create", "--leave-running", "counts", "one") == "one"
    cases = [
        ("POST", "/containers/nope/checkpoints", {"CheckpointID": "x1"}, 404, "No such container: nope"),
        (
            "POST",
            "/containers/counts/checkpoints",
            {"CheckpointID": "../x"},
            400,
            'invalid checkpoint ID "../x", only ',
        ),
        ("POST", "/containers/counts/checkpoints", {"CheckpointID": 1}, 400, "CheckpointID"),
        (
            "POST",
            "/containers/counts/checkpoints",
            {"CheckpointID": "one"},
            409,
            "cannot checkpoint container counts: checkpoint with name one already exists for container counts",
        ),
        ("GET", "/containers/counts/checkpoints?dir=/nope", None, 404, 'checkpoint directory "/nope" does not exist'),
        (
            "DELETE",
            "/containers/counts/checkpoints/two",
            None,
            404,
            "checkpoint two does not exist for container counts",
        ),
    ]
    for method, path, body, status, text in cases:
        answer = engine.call(method, path, body)
        assert (answer.status, text in answer.message) == (status, True), answer
    engine.ok("kill", "counts")
    answer = engine.call("POST", "/containers/counts/start?checkpoint=two")
    assert (answer.status, answer.message) == (404, "checkpoint two does not exist for container /counts")
    answer = engine.call("POST", "/containers/counts/checkpoints", {"CheckpointID": "two"})
    assert (answer.status, answer.message.endswith("is not running")) == (409, True)


def test_a_listening_server_and_its_port(engine: Engine) -> None:
    engine.start(
        "--name", "web", "-p", "18077:80", IMAGE, "sh", "-c", "echo it works >/tmp/index.html; httpd -f -h /tmp"
    )

    def fetched() -> bytes:
        with engine.connect(("127.0.0.1", 18077)) as client:
            client.settimeout(60)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while piece := client.recv(4096):
                data += piece
        return data

    while True:
        try:
            assert b"it works" in fetched()
            break
        except ConnectionError:
            continue
    engine.ok("checkpoint", "create", "web", "one")
    engine.ok("start", "--checkpoint", "one", "web")
    assert b"it works" in fetched()
